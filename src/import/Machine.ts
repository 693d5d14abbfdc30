/**
 * The machine on which other tools keep their logins: whose home it is, and where the environment says that files are.
 */
import { homedir, userInfo } from "node:os"
import { Config, Context, Effect, Layer, Option, Result } from "effect"
import * as Ownership from "../system/Ownership.ts"

/** The variables that move the files of some tool. */
const names = [
  "AWS_CONFIG_FILE",
  "CLAUDE_CONFIG_DIR",
  "CODEX_HOME",
  "DOCKER_CONFIG",
  "GEMINI_CLI_HOME",
  "GH_CONFIG_DIR",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "APPDATA",
  "LOCALAPPDATA",
] as const

/** What is to be known of it. */
export interface Facts {
  /** As Node names it: `linux`, `darwin`, `win32`. */
  readonly platform: string
  readonly home: string
  readonly userName: string
  /** The number of the user; -1 where users have none. */
  readonly uid: number
  /** The variables that are set and not empty. */
  readonly variables: { readonly [name in (typeof names)[number]]?: string }
}

export class Machine extends Context.Service<Machine, Facts>()("tokenkeep/import/Machine") {
  static readonly layer: Layer.Layer<Machine, Config.ConfigError> = Layer.effect(
    this,
    Effect.gen(function* () {
      const variables: { [name in (typeof names)[number]]?: string } = {}
      for (const name of names) {
        const value = yield* Config.option(Config.NonEmptyString(name))
        if (Option.isSome(value)) variables[name] = value.value
      }
      const home = yield* Config.option(Config.NonEmptyString(process.platform === "win32" ? "USERPROFILE" : "HOME"))
      // In a container a user may have a number and no name.
      const known = Result.getOrUndefined(Result.try(() => userInfo()))
      return {
        platform: process.platform,
        home: Option.getOrElse(home, homedir),
        userName: known?.username ?? "",
        uid: Ownership.uid(),
        variables,
      }
    }),
  )
}

/** Windows takes this for its own separator too. */
export const join = (...parts: ReadonlyArray<string>): string => parts.join("/")

/** An XDG folder, which counts only if it is absolute (XDG Base Directory Specification). */
const xdg = (value: string | undefined, otherwise: string) => (value?.startsWith("/") === true ? value : otherwise)

/** Where tools that follow XDG on every platform keep their configuration. */
export const configHome = ({ home, variables }: Facts): string => xdg(variables.XDG_CONFIG_HOME, join(home, ".config"))

/** Where tools that follow XDG on every platform keep their data. */
export const dataHome = ({ home, variables }: Facts): string =>
  xdg(variables.XDG_DATA_HOME, join(home, ".local", "share"))
