import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AccountKey, Broker, BrokerConfig } from "tokenkeep"
import { Behaviour, layerBrokerMemory, ScriptedProvider } from "tokenkeep/testing"
import { nightly } from "./nightly.ts"

const account = AccountKey.make("scripted")

// A provider in process whose tokens live for an hour of the test's clock, and a broker that keeps them in memory.
const layer = Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => layerBrokerMemory([provider]))).pipe(
  Layer.provide(BrokerConfig.layer("/nowhere")),
  Layer.provideMerge(ScriptedProvider.layer({ accessTokenLifetime: "1 hour" })),
)

it.effect("works through the night with one login, and ends when the provider wants another", () =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const { calls, grant, script } = yield* ScriptedProvider
    const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
    yield* broker.exchange(login.sessionId, Redacted.make(yield* grant(login.authUrl)))

    const used = yield* Queue.unbounded<Redacted.Redacted>()
    const running = yield* Effect.forkChild(nightly(account, (token) => Queue.offer(used, token)))
    yield* Queue.take(used)
    for (let hour = 1; hour <= 8; hour++) {
      yield* TestClock.adjust("1 hour")
      yield* Queue.take(used)
    }
    const refreshes = (yield* calls).filter((call) => call === "refresh_token")
    assert.lengthOf(refreshes, 8)

    yield* script([Behaviour.status(400, "invalid_grant")])
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(running)
    assert.strictEqual(yield* Queue.size(used), 0)
  }).pipe(Effect.provide(layer)),
)
