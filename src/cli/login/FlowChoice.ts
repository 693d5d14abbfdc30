/**
 * Which flow a login takes: the one that was named; or a browser where there is one, a code elsewhere, else what the person
 * carries over by hand. Which of them a provider has, and in which order it is best asked, only the host knows: what it does
 * not take is asked for no more, and in the end the choice is its own.
 */
import { Effect, Option } from "effect"
import { Broker } from "../../broker/Broker.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import type { FlowType } from "../../domain/Session.ts"
import * as Desktop from "./Desktop.ts"
import { type FlowName, flowNames } from "../FlowName.ts"
import { Words } from "./LoginWords.ts"
import * as Screen from "../Screen.ts"
import { UsageError } from "../UsageError.ts"

/** What to ask the host for, in turn; nothing is its own choice. */
const wishes = (isDesktop: boolean): ReadonlyArray<Option.Option<FlowType>> => [
  ...(isDesktop ? [Option.some(flowNames.browser)] : [Option.some(flowNames.device), Option.some(flowNames.paste)]),
  Option.none(),
]

/** Where nobody can be asked: what somebody elsewhere can finish, or a program that opens the address itself. */
const unattendedWishes = (isDesktop: boolean): ReadonlyArray<Option.Option<FlowType>> => [
  Option.some(flowNames.device),
  ...(isDesktop ? [Option.some(flowNames.browser)] : []),
]

const ask = Effect.fnUntraced(function* (account: AccountKey, flow: Option.Option<FlowType>) {
  const broker = yield* Broker
  return yield* broker.initiate(account, Option.isSome(flow) ? { flow: flow.value } : {})
})

/** The first wish that is granted. Where waiting may help, the provider is down, and no other flow would do better. */
const first = (account: AccountKey, [wish = Option.none(), ...others]: ReadonlyArray<Option.Option<FlowType>>) =>
  others.reduce(
    (begin, next) =>
      Effect.catchTags(begin, {
        InvalidRequest: () => ask(account, next),
        FlowInitiationFailed: (failed) => (failed.remedy === "wait" ? failed : ask(account, next)),
      }),
    ask(account, wish),
  )

/** Begins a login in the flow that was named, or in the one that suits. */
export const begin = Effect.fnUntraced(function* (account: AccountKey, named: Option.Option<FlowName>) {
  const broker = yield* Broker
  const words = yield* Words
  const isUnattended = yield* Screen.isUnattended
  const nobodyToPaste = new UsageError({ detail: words.nobodyToPaste })
  if (Option.isSome(named)) {
    if (named.value === "paste" && isUnattended) return yield* nobodyToPaste
    return yield* ask(account, Option.some(flowNames[named.value]))
  }
  const isDesktop = yield* Desktop.isDesktop
  if (!isUnattended) return yield* first(account, wishes(isDesktop))
  const begun = yield* Effect.catchTag(first(account, unattendedWishes(isDesktop)), "InvalidRequest", ({ message }) =>
    Effect.fail(new UsageError({ detail: words.nobodyToAsk(message) })),
  )
  if (begun.flowType === "pkce_redirect") {
    // A host that chooses for itself.
    yield* Effect.ignore(broker.cancel(begun.sessionId))
    return yield* nobodyToPaste
  }
  return begun
})
