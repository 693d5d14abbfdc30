import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Redacted, Ref, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import { ProviderFailure, Reason } from "../../src/oauth/ProviderFailure.ts"

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
  const fail = yield* Ref.make(Option.none<Reason>())
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
        const reason = yield* Ref.get(fail)
        if (Option.isSome(reason)) return yield* new ProviderFailure({ provider: name, reason: reason.value })
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
  return { asked, calls, fail, gate, lock, refresh, store, stored }
})

describe("a refresh", () => {
  it.effect("runs to its end, and keeps what it brings, although the program ends meanwhile", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { asked, gate, refresh, stored } = yield* Scope.provide(setUp(), scope)
      yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.yieldNow
      assert.isUndefined(ending.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* stored, Option.some("access-1"))
      const late = yield* Effect.exit(refresh(account))
      assert.isTrue(Exit.isFailure(late))
    }),
  )

  it.effect("that the provider refused for good is not tried again until there is another refresh token", () =>
    Effect.gen(function* () {
      const { calls, fail, gate, refresh, store } = yield* setUp()
      yield* Deferred.succeed(gate, undefined)
      yield* Ref.set(fail, Option.some(Reason.ReloginNeeded()))
      for (let i = 0; i < 10; i++) assert.strictEqual((yield* Effect.flip(refresh(account)))._tag, "ReauthRequired")
      yield* TestClock.adjust("1 days")
      assert.strictEqual((yield* Effect.flip(refresh(account)))._tag, "ReauthRequired")
      assert.strictEqual(yield* Ref.get(calls), 1)
      yield* Ref.set(fail, Option.none())
      const token = Option.getOrThrow(yield* store.get(account))
      yield* store.set(account, { ...token, refreshToken: Redacted.make("of a new login") })
      yield* refresh(account)
      assert.strictEqual(yield* Ref.get(calls), 2)
    }),
  )

  it.effect("that failed is tried again after 5 s, or when the provider says", () =>
    Effect.gen(function* () {
      const { calls, fail, gate, refresh } = yield* setUp()
      yield* Deferred.succeed(gate, undefined)
      yield* Ref.set(fail, Option.some(Reason.Transient({ what: "server-error" })))
      yield* Effect.flip(refresh(account))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* Effect.flip(refresh(account)))._tag, "RefreshFailed")
      assert.strictEqual(yield* Ref.get(calls), 1)
      yield* TestClock.adjust("1 millis")
      yield* Ref.set(fail, Option.some(Reason.RateLimited({ retryAfter: Option.some(Duration.seconds(120)) })))
      yield* Effect.flip(refresh(account))
      yield* TestClock.adjust("119 seconds")
      assert.include((yield* Effect.flip(refresh(account))).message, "in 1 s")
      assert.strictEqual(yield* Ref.get(calls), 2)
      yield* TestClock.adjust("1 seconds")
      yield* Ref.set(fail, Option.none())
      yield* refresh(account)
    }),
  )

  it.effect("does not undo a login that was made meanwhile", () =>
    Effect.gen(function* () {
      const { asked, gate, refresh, store, stored } = yield* setUp()
      const refreshing = yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const token = Option.getOrThrow(yield* store.get(account))
      const login = { accessToken: Redacted.make("new login"), refreshToken: Redacted.make("new login") }
      yield* store.set(account, { ...token, ...login })
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(Redacted.value((yield* Fiber.join(refreshing)).accessToken), "new login")
      assert.deepStrictEqual(yield* stored, Option.some("new login"))
    }),
  )

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
      const { asked, gate, refresh } = yield* setUp()
      yield* Effect.forkChild(refresh(account))
      yield* Deferred.await(asked)
      const token = yield* refresh(Account.make("other"))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(Redacted.value(token.accessToken), "access-2")
    }),
  )

  it.effect("does not bring back what is removed meanwhile", () =>
    Effect.gen(function* () {
      const { asked, gate, lock, refresh, store, stored } = yield* setUp()
      const refreshing = yield* Effect.forkChild(Effect.flip(refresh(account)))
      yield* Deferred.await(asked)
      yield* lock.withLock(account)(store.remove(account))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(refreshing))._tag, "TokenNotFound")
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
