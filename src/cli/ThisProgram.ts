/**
 * This very program, as another one is to start it.
 */
import { basename } from "node:path"
import { Context } from "effect"

const commandOf = ([node = "node", script = ""]: ReadonlyArray<string>): ReadonlyArray<string> =>
  // What npm puts in place starts by itself; it is named in full, as not all that starts it has the same PATH.
  /^tokenkeep(\.cmd|\.exe)?$/.test(basename(script)) ? [script] : [node, script]

/** The words to start it with. */
export class ThisProgram extends Context.Reference<ReadonlyArray<string>>("tokenkeep/cli/ThisProgram", {
  defaultValue: () => commandOf(process.argv),
}) {}
