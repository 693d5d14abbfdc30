/**
 * What a person types before `login`, `token`, `status` and `logout`: the name of the program, or, where the commands are
 * mounted in another one, of that one and the command that they are under, like `acme auth`.
 */
import { Console, Context, Effect } from "effect"

/**
 * What is typed before the four commands, like `acme auth`; `tokenkeep` where nothing is provided. `auth` provides it; who
 * mounts single commands provides it with `Layer.succeed`.
 */
export class ProgramName extends Context.Reference<string>("tokenkeep/cli/ProgramName", {
  defaultValue: () => "tokenkeep",
}) {}

/** Where a sentence refers to commands that only we have. */
const elsewhere =
  / \(tokenkeep provider show [^()]*\)| See those that can be used with: tokenkeep provider list --all\.?/g

/** A sentence that names our commands as they are typed in the program of that name, and none that it may not have. */
export const inProgram = (name: string, sentence: string): string =>
  name === "tokenkeep"
    ? sentence
    : sentence.replace(elsewhere, "").replace(/\btokenkeep(?= (?:login|token|status|logout)\b)/g, () => name)

/** The same, for where we are. */
export const asTyped = (sentence: string) => Effect.map(ProgramName, (name) => inProgram(name, sentence))

/** Says a sentence to a person. */
export const say = (sentence: string) => Effect.flatMap(asTyped(sentence), (text) => Console.error(text))
