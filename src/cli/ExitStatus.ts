/**
 * What the process says with its end where a command has done all that was asked of it, and what it found is not well.
 */
import { Context, Effect } from "effect"

export class ExitStatus extends Context.Reference<(code: number) => void>("tokenkeep/cli/ExitStatus", {
  defaultValue: () => (code) => {
    process.exitCode = code
  },
}) {}

/** Ends with this, once the command is done. */
export const set = (code: number): Effect.Effect<void> => Effect.map(ExitStatus, (tell) => tell(code))
