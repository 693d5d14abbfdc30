/**
 * Where things are kept, as {@link BrokerConfigEnv} says, in the plain cases; undefined where it might say otherwise.
 */
import { posix, win32 } from "node:path"

export interface Places {
  readonly configFile: string
  readonly accountsDirectory: string
  readonly eventsDirectory: string
}

export interface Environment {
  readonly [name: string]: string | undefined
}

/** With these set, more than the places has to be looked at. */
const settings = ["TOKENKEEP_SESSION_TIMEOUT_SECONDS", "LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS"]

/** Whether nothing else is said that may be wrong. */
export const isPlain = (env: Environment): boolean => settings.every((name) => env[name] === undefined)

/** The usual folders for configuration, data and state: below which variable's folder, and where there. */
type Usual = readonly [variable: string, config: string, data: string, state: string]

const usual: { readonly [platform in NodeJS.Platform]?: Usual } = {
  linux: ["HOME", ".config", ".local/share", ".local/state"],
  darwin: ["HOME", "Library/Application Support", "Library/Application Support", "Library/Application Support"],
}

export const placesIn = (env: Environment, platform: NodeJS.Platform = process.platform): Places | undefined => {
  const isWindows = platform === "win32"
  const { join } = isWindows ? win32 : posix
  const isAbsolute = (path: string | undefined): path is string =>
    path !== undefined && !path.includes("\0") && (isWindows ? /^[a-zA-Z]:[\\/]/.test(path) : path.startsWith("/"))

  const own = env["TOKENKEEP_HOME"]
  if (own !== undefined) {
    if (!isAbsolute(own)) return undefined
    return {
      configFile: `${own}/config.json`,
      accountsDirectory: `${own}/accounts`,
      eventsDirectory: `${own}/events`,
    }
  }
  const folderOf = (variable: string, parent: string | undefined, below: string) => {
    const said = env[variable]
    if (said !== undefined) return isAbsolute(said) ? join(said, "tokenkeep") : undefined
    return isAbsolute(parent) ? join(parent, below, "tokenkeep") : undefined
  }
  const [variable, ...below] = usual[platform] ?? []
  const home = variable === undefined ? undefined : env[variable]
  const config = folderOf("XDG_CONFIG_HOME", isWindows ? env["APPDATA"] : home, below[0] ?? "")
  const data = folderOf("XDG_DATA_HOME", isWindows ? env["APPDATA"] : home, below[1] ?? "")
  const state = folderOf("XDG_STATE_HOME", isWindows ? env["LOCALAPPDATA"] : home, below[2] ?? "")
  if (config === undefined || data === undefined || state === undefined) return undefined
  return {
    configFile: join(config, "config.json"),
    accountsDirectory: join(data, "accounts"),
    eventsDirectory: join(state, "events"),
  }
}
