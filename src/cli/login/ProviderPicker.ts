/**
 * Where to log in, for a person who has not said it: at the only provider there is, or at the one that they pick.
 */
import { Effect } from "effect"
import { Prompt } from "effect/cli"
import { Broker } from "../../broker/Broker.ts"
import * as Account from "../../domain/AccountKey.ts"
import { printable } from "../../domain/RemoteText.ts"
import { Json } from "../GlobalFlags.ts"
import { Words } from "./LoginWords.ts"
import * as Prompts from "../Prompts.ts"
import * as Screen from "../Screen.ts"
import { UsageError } from "../UsageError.ts"

const canPick = Effect.gen(function* () {
  const { canRedraw } = yield* Screen.stdout
  return canRedraw && (yield* Screen.canAsk) && !(yield* Json)
})

/** The account of the provider that is chosen. */
export const pick = Effect.gen(function* () {
  const broker = yield* Broker
  const words = yield* Words
  const names = (yield* broker.listProviders).toSorted()
  const [only, ...others] = names
  if (only === undefined) return yield* new UsageError({ detail: words.noProvider })
  if (others.length === 0) return Account.make(only)
  if (!(yield* canPick)) return yield* new UsageError({ detail: words.whichProvider(names.map(printable)) })
  const picked = yield* Prompts.putOrEnd(
    Prompt.Select({
      message: words.pickProvider,
      choices: names.map((name) => ({ title: printable(name), value: name })),
    }),
    words.nothingPicked,
  )
  return Account.make(picked)
})
