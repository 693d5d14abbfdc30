/**
 * What the process says of itself when it ends: 0 ok, 1 failure, 2 usage, 4 login needed, 130 interrupted. Where that is
 * for another program to say, as with `exec`: 125 failure of any kind, as env(1) has it.
 */
import type { CliError } from "effect/cli"

/** The tags of errors that only a person can mend, by logging in. */
const loginNeeded: ReadonlySet<string> = new Set(["TokenNotFound", "RefreshNotAvailable", "ReauthRequired"])

/** Any error that a command can end with. */
export type Failure =
  | { readonly _tag: string; readonly message: string; readonly exitCode?: number }
  | CliError.ShowHelp

/** The tags of errors in what was typed, or in the environment. */
const usage: ReadonlySet<string> = new Set(["UsageError", "ConfigError"])

/** The exit code for an error that a command ended with. */
export const of = (error: Failure): number => {
  if ("errors" in error) return error.errors.length === 0 ? 0 : error.commandPath.includes("exec") ? 125 : 2
  if (error.exitCode !== undefined) return error.exitCode
  if (usage.has(error._tag)) return 2
  return loginNeeded.has(error._tag) ? 4 : 1
}
