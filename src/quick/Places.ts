/**
 * Where things are kept, in the plain cases: as {@link BrokerConfigEnv} says, or undefined where it might say otherwise.
 */
import { join } from "node:path"
import { platform } from "node:process"

export interface Places {
  readonly configFile: string
  readonly accountsDirectory: string
  readonly eventsDirectory: string
}

export interface Environment {
  readonly [name: string]: string | undefined
}

/** With these set, more has to be looked at than the places. */
const settings = ["TOKENKEEP_SESSION_TIMEOUT_SECONDS", "LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS"]

const isPlain = (path: string | undefined): path is string =>
  path !== undefined && path.startsWith("/") && !path.includes("\0")

export const placesIn = (env: Environment): Places | undefined => {
  if (platform !== "linux" || settings.some((name) => env[name] !== undefined)) return undefined
  const own = env["TOKENKEEP_HOME"]
  if (own !== undefined) {
    if (!isPlain(own)) return undefined
    return {
      configFile: `${own}/config.json`,
      accountsDirectory: `${own}/accounts`,
      eventsDirectory: `${own}/events`,
    }
  }
  const home = env["HOME"]
  if (!isPlain(home)) return undefined
  const folderOf = (variable: string, usual: string) => {
    const said = env[variable]
    return said === undefined ? join(home, usual, "tokenkeep") : isPlain(said) ? join(said, "tokenkeep") : undefined
  }
  const config = folderOf("XDG_CONFIG_HOME", ".config")
  const data = folderOf("XDG_DATA_HOME", ".local/share")
  const state = folderOf("XDG_STATE_HOME", ".local/state")
  if (config === undefined || data === undefined || state === undefined) return undefined
  return {
    configFile: join(config, "config.json"),
    accountsDirectory: join(data, "accounts"),
    eventsDirectory: join(state, "events"),
  }
}
