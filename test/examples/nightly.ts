import type { Redacted } from "effect"
import { Console, Effect, Schedule } from "effect"
import { type AccountKey, Broker } from "tokenkeep"

/** Does its work every hour, until its account needs a person. */
export const nightly = (account: AccountKey.AccountKey, work: (token: Redacted.Redacted) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const { accessToken } = yield* broker.getToken(account)
    yield* work(accessToken)
  }).pipe(
    Effect.repeat(Schedule.spaced("1 hour")),
    Effect.catchTag("ReauthRequired", ({ message }) => Console.error(message)),
  )
