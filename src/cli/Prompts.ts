/**
 * Prompts of the framework, on stderr: the answer to a command is on stdout, and what is said to a person is not.
 */
import { Console, Effect, Stdio, Stream, Terminal } from "effect"
import type { Prompt } from "effect/cli"

/** Puts it to the person. */
export const put = Effect.fnUntraced(function* <A>(prompt: Prompt.Prompt<A>) {
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  return yield* Effect.provideService(prompt, Terminal.Terminal, {
    ...terminal,
    display: (text) => Stream.run(Stream.make(text), stdio.stderr({ endOnDone: false })),
  })
})

/** The same; where the person ends it instead, the command ends with these words. */
export const putOrEnd = <A>(prompt: Prompt.Prompt<A>, farewell: string) =>
  Effect.catchTag(put(prompt), "QuitError", () => Effect.andThen(Console.error(`\n${farewell}`), Effect.interrupt))
