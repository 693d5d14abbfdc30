import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber, Layer, Option, Redacted, Ref } from "effect"
import { TestClock } from "effect/testing"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"

const account = Account.make("github")
const seconds = (n: number) => DateTime.makeUnsafe(n * 1000)

const provider = (name: string) => ({
  name,
  issuer: "https://id.example",
  clientId: "c",
  scopes: [],
  flows: ["device_code"] as const,
  redirectUris: [],
  publicFields: [],
  secret: Option.none(),
})

/** A provider that answers when the gate is open, with tokens that live for `life` seconds, and counts. */
const setUp = Effect.fnUntraced(function* (life = 3600) {
  const calls = yield* Ref.make(0)
  const asked = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const client = Layer.mock(OAuthClient, {
    refresh: ({ name }) =>
      Effect.gen(function* () {
        const n = yield* Ref.updateAndGet(calls, (count) => count + 1)
        if (name === "github") {
          yield* Deferred.succeed(asked, undefined)
          yield* Deferred.await(gate)
        }
        const now = yield* DateTime.now
        return {
          accessToken: Redacted.make(`access-${n}`),
          refreshToken: Redacted.make(`refresh-${n}`),
          expiresAt: DateTime.addDuration(now, Duration.seconds(life)),
        }
      }),
  })
  const context = yield* Layer.build(
    Refresher.layer.pipe(
      Layer.provide(client),
      Layer.provideMerge(Layer.mergeAll(TokenStore.layerMemory, AccountLock.layerMemory)),
      Layer.provide(Providers.layerMemory([provider("github"), provider("other")])),
      Layer.provide(BrokerConfig.layer("/nowhere")),
      Layer.fresh,
    ),
  )
  const store = yield* Effect.provideContext(TokenStore, context)
  const lock = yield* Effect.provideContext(AccountLock, context)
  const { refresh } = yield* Effect.provideContext(Refresher, context)
  const old = {
    accessToken: Redacted.make("old"),
    refreshToken: Redacted.make("old"),
    expiresAt: seconds(0),
    tokenType: "bearer",
    extras: Redacted.make({}),
  }
  yield* store.set(account, old)
  yield* store.set(Account.make("other"), old)
  const stored = Effect.map(store.get(account), (token) =>
    Option.map(token, ({ accessToken }) => Redacted.value(accessToken)),
  )
  return { asked, calls, gate, lock, refresh, store, stored }
})

describe("a refresh", () => {
  it.effect("is one for all who ask while it is under way", () =>
    Effect.gen(function* () {
      const { asked, calls, gate, refresh } = yield* setUp()
      const waiters = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.forkChild(refresh(account)))
      yield* Deferred.await(asked)
      yield* Deferred.succeed(gate, undefined)
      for (const waiter of waiters) {
        assert.strictEqual(Redacted.value((yield* Fiber.join(waiter)).accessToken), "access-1")
      }
      assert.strictEqual(yield* Ref.get(calls), 1)
    }),
  )

  it.effect("goes on when whoever asked first, or everybody, goes away, and what it brings is kept", () =>
    Effect.gen(function* () {
      const { asked, calls, gate, refresh, stored } = yield* setUp()
      const first = yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const second = yield* Effect.forkChild(refresh(account))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      const third = yield* Effect.forkChild(refresh(account))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(Redacted.value((yield* Fiber.join(third)).accessToken), "access-1")
      assert.strictEqual(yield* Ref.get(calls), 1)
      assert.deepStrictEqual(yield* stored, Option.some("access-1"))
    }),
  )

  it.effect("does not delay another account", () =>
    Effect.gen(function* () {
      const { asked, refresh } = yield* setUp()
      yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const token = yield* refresh(Account.make("other"))
      assert.strictEqual(Redacted.value(token.accessToken), "access-2")
    }),
  )

  it.effect("does not bring back what is removed meanwhile", () =>
    Effect.gen(function* () {
      const { asked, gate, lock, refresh, store, stored } = yield* setUp()
      const refreshing = yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const removing = yield* Effect.forkChild(lock.withLock(account)(store.remove(account)))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(refreshing)
      yield* Fiber.join(removing)
      assert.deepStrictEqual(yield* stored, Option.none())
      assert.strictEqual((yield* Effect.flip(refresh(account)))._tag, "TokenNotFound")
    }),
  )

  it.effect(
    "comes at most every 30 s: before that a valid token is returned, and for an expired one one must wait",
    () =>
      Effect.gen(function* () {
        const { calls, gate, refresh, store } = yield* setUp()
        yield* Deferred.succeed(gate, undefined)
        const token = yield* refresh(account)
        yield* TestClock.adjust("29 seconds")
        assert.strictEqual(Redacted.value((yield* refresh(account)).accessToken), "access-1")
        yield* store.set(account, { ...token, expiresAt: seconds(1) })
        const failure = yield* Effect.flip(refresh(account))
        assert.strictEqual(failure._tag, "RateLimited")
        assert.include(failure.message, "in 1 s")
        yield* TestClock.adjust("1 seconds")
        yield* refresh(account)
        assert.strictEqual(yield* Ref.get(calls), 2)
      }),
  )

  it.effect("of a token that lives for 10 s may be repeated after 5", () =>
    Effect.gen(function* () {
      const { calls, gate, refresh } = yield* setUp(10)
      yield* Deferred.succeed(gate, undefined)
      yield* refresh(account)
      yield* TestClock.adjust("4 seconds")
      yield* refresh(account)
      assert.strictEqual(yield* Ref.get(calls), 1)
      yield* TestClock.adjust("1 seconds")
      yield* refresh(account)
      assert.strictEqual(yield* Ref.get(calls), 2)
    }),
  )
})
