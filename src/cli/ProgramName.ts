/**
 * What a person types before `login`, `token`, `status` and `logout`: the name of the program, or, where the commands are
 * mounted in another one, of that one and the command that they are under, like `acme auth`.
 */
import { Context } from "effect"

export class ProgramName extends Context.Reference<string>("tokenkeep/cli/ProgramName", {
  defaultValue: () => "tokenkeep",
}) {}

/** A sentence that names our commands as they are typed in the program of that name. */
export const inProgram = (name: string, sentence: string): string =>
  name === "tokenkeep" ? sentence : sentence.replace(/\btokenkeep(?= (?:login|token|status|logout)\b)/g, () => name)
