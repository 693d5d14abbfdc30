/**
 * Asks a person for a yes, on stderr. Without anybody to ask there is no yes, unless it was typed beforehand.
 */
import { Console, Effect } from "effect"
import { Flag, Prompt } from "effect/cli"
import * as Prompts from "./Prompts.ts"
import * as Screen from "./Screen.ts"
import { UsageError } from "./UsageError.ts"

export const yes = Flag.Boolean("yes").pipe(Flag.withDescription("Do it without asking"), Flag.withDefault(false))

/** Goes on after a yes. `unasked` says why nothing was done where nobody can be asked. */
export const confirm = Effect.fnUntraced(function* (question: string, isSaid: boolean, unasked: string) {
  if (isSaid) return
  if (!(yield* Screen.canAsk)) return yield* new UsageError({ detail: `${unasked} To do it all the same, add --yes.` })
  const isAgreed = yield* Effect.catchTag(Prompts.put(Prompt.Confirm({ message: question })), "QuitError", () =>
    Effect.succeed(false),
  )
  if (isAgreed) return
  yield* Console.error("Nothing was changed.")
  return yield* Effect.interrupt
})
