/**
 * Events that were told, as a test compares them.
 */
import { Effect } from "effect"
import { AuthEvents } from "../../src/broker/AuthEvents.ts"
import { type AuthEvent, toJson } from "../../src/domain/AuthEvent.ts"

/** The type, and in what an event differs from others of its type, but for its length and the fingerprint. */
export const inShort = (event: AuthEvent): string => {
  const {
    account: _,
    at: __,
    durationMs: ___,
    fingerprint: ____,
    type,
    version: _____,
    ...rest
  } = JSON.parse(toJson(event))
  return [type, ...Object.values(rest)].join(" ")
}

/** Listens from now on, to all that is told. */
export const listen = Effect.gen(function* () {
  const events = yield* AuthEvents
  const heard: Array<AuthEvent> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => events.listen({ tokens: true }, (event) => heard.push(event))),
    (stop) => Effect.sync(stop),
  )
  return {
    heard,
    /** What was heard since the last time that this was asked. */
    take: () => heard.splice(0).map(inShort),
  }
})
