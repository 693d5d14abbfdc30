/**
 * What the process says of itself when it ends:
 *
 * 0 ok, 1 failure, 2 usage, 3 not granted, 4 login needed, 5 the provider is down or wants patience, 6 something that is
 * kept cannot be used, or is busy, 7 the host cannot be reached, 130 cancelled. Where that is for another program to say,
 * as with `exec`: 125 failure of any kind, as env(1) has it.
 */
import { Context, Effect } from "effect"
import type { CliError } from "effect/cli"
import type { Remedy } from "../domain/Errors.ts"

/** Any error that a command can end with. */
export type Failure =
  | { readonly _tag: string; readonly message: string; readonly exitCode?: number; readonly remedy?: Remedy }
  | CliError.ShowHelp

const byTag: { readonly [tag: string]: number } = {
  UsageError: 2,
  ConfigError: 2,
  InvalidRequest: 2,

  Unauthorized: 3,
  Forbidden: 3,
  PeerMismatch: 3,

  TokenNotFound: 4,
  RefreshNotAvailable: 4,
  ReauthRequired: 4,

  RefreshFailed: 5,
  RefreshRateLimited: 5,
  RateLimited: 5,

  StoreCorrupt: 6,
  StoreNewer: 6,
  StoreUnavailable: 6,
  ConfigCorrupt: 6,
  LockBusy: 6,

  HostUnreachable: 7,
  HostFailure: 7,

  Cancelled: 130,
  QuitError: 130,
}

/** The exit code for an error that a command ended with: 1 for one that is not known here, 0 where help was asked for. */
export const of = (error: Failure): number => {
  if ("errors" in error) return error.errors.length === 0 ? 0 : error.commandPath.includes("exec") ? 125 : 2
  if (error.exitCode !== undefined) return error.exitCode
  if (error.remedy !== undefined) return error.remedy === "wait" ? 5 : 1
  return byTag[error._tag] ?? 1
}

/** Has the process end with a code, 0 to 255. By default `process.exitCode` is set; provide another for tests. */
export class ExitStatus extends Context.Reference<(code: number) => void>("tokenkeep/cli/ExitCode/ExitStatus", {
  defaultValue: () => (code) => {
    process.exitCode = code
  },
}) {}

/** Ends with this, once the command is done: it did all that was asked of it, and what it found is not well. */
export const set = (code: number): Effect.Effect<void> => Effect.map(ExitStatus, (tell) => tell(code))
