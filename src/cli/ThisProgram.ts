/**
 * This very program, as another one is to start it; and how this process ends where that says something by itself.
 */
import { basename } from "node:path"
import { Context, Effect } from "effect"

const commandOf = ([node = "node", script = ""]: ReadonlyArray<string>): ReadonlyArray<string> =>
  // What npm puts in place starts by itself; it is named in full, as not all that starts it has the same PATH.
  /^tokenkeep(\.cmd|\.exe)?$/.test(basename(script)) ? [script] : [node, script]

/** The words to start it with. */
export class ThisProgram extends Context.Reference<ReadonlyArray<string>>("tokenkeep/cli/ThisProgram", {
  defaultValue: () => commandOf(process.argv),
}) {}

/** Ends with that code when it ends, without a word. */
export const endWith = (code: number) =>
  Effect.sync(() => {
    process.exitCode = code
  })
