import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Adopted } from "../../src/broker/Adopted.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { seconds } from "../support/Records.ts"
import { accessOf, fails, github, gives, makeGate, other, settle, setUp } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

describe("a refresh", () => {
  it.effect("sends the refresh token, keeps what comes, and returns it", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      assert.strictEqual(yield* access(github), "access-1")
      assert.deepStrictEqual(provider.redemptions, [{ at: 0, provider: "github", refreshToken: "old" }])
      const { history, since, token } = yield* record
      assert.strictEqual(accessOf(token), "access-1")
      assert.strictEqual(Redacted.value(token.refreshToken ?? Redacted.make("")), "refresh-1")
      assert.deepStrictEqual(since, seconds(0))
      assert.deepStrictEqual(history.standing, { _tag: "Good" })
      assert.deepInclude(history, { epoch: 1, rotation: "observed", failures: 0 })
    }),
  )

  it.effect("is not begun with a token that a tool may have used already", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* Effect.provideService(setUp(), Adopted, {
        saved: () => Effect.void,
        spentBy: (account) => Effect.succeedSome(`The tool has used that of ${account}.`),
        forgotten: () => Effect.void,
      })
      assert.strictEqual((yield* Effect.flip(access(github))).message, "The tool has used that of github.")
      assert.deepStrictEqual(provider.redemptions, [])
      assert.strictEqual((yield* record).history.epoch, 0)
    }),
  )

  it.effect("is one for a thousand who ask while it is under way", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("shared", 3600)))
      const waiters = yield* Effect.forEach(Array.from({ length: 1000 }), () => Effect.forkChild(access(github)))
      yield* gate.asked
      yield* gate.open
      const answers = yield* Effect.forEach(waiters, Fiber.join)
      assert.deepStrictEqual([...new Set(answers)], ["shared"])
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("is one for a thousand who ask one after the other", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      for (let i = 0; i < 1000; i++) assert.strictEqual(yield* access(github), "access-1")
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("that fails does so for all who wait for it", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      const gate = yield* makeGate
      provider.answers(github, gate.before(fails(Reason.ReloginNeeded())))
      const waiters = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkChild(tagOf(access(github))))
      yield* gate.asked
      yield* gate.open
      for (const waiter of waiters) assert.strictEqual(yield* Fiber.join(waiter), "ReauthRequired")
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("that is asked for as soon as another is over is not given that one's answer", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      provider.answers(github, fails(Reason.EndpointMoved({ status: 404 })))
      const first = yield* Effect.flip(access(github))
      const second = yield* Effect.flip(access(github))
      assert.include(first.message, "has nothing at the configured address")
      assert.include(second.message, "no sooner than in 5 s")
    }),
  )

  it.effect("goes on when whoever asked first, or everybody, goes away, and what it brings is kept", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("kept", 3600)))
      const first = yield* Effect.forkChild(access(github))
      yield* gate.asked
      const second = yield* Effect.forkChild(access(github))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      const third = yield* Effect.forkChild(access(github))
      yield* settle
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(third), "kept")
      assert.strictEqual(provider.redemptions.length, 1)
      assert.strictEqual(accessOf((yield* record).token), "kept")
    }),
  )

  it.effect("runs to its end, and keeps what it brings, although the program ends meanwhile", () =>
    Effect.gen(function* () {
      const { provider, record, start } = yield* setUp()
      const scope = yield* Scope.make()
      const { refresh } = yield* Scope.provide(start(), scope)
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("kept", 3600)))
      yield* Effect.forkChild(Effect.exit(refresh(github)))
      yield* gate.asked
      const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settle
      assert.isUndefined(ending.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(ending)
      assert.strictEqual(accessOf((yield* record).token), "kept")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(refresh(github))))
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("that hangs does not delay another account", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("late", 3600)))
      const hung = yield* Effect.forkChild(access(github))
      yield* gate.asked
      assert.strictEqual(yield* access(other), "access-2")
      assert.isUndefined(hung.pollUnsafe())
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(hung), "late")
    }),
  )

  it.effect("of what nobody has logged in to, or what has no refresh token or no provider, asks nobody", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, store } = yield* setUp()
      assert.strictEqual(yield* tagOf(refresh(Account.make("github", "nobody"))), "TokenNotFound")
      const orphan = Account.make("orphan")
      yield* store.set(orphan, yield* record)
      assert.strictEqual(yield* tagOf(refresh(orphan)), "ProviderNotFound")
      const { token, ...rest } = yield* record
      const { refreshToken: _, ...bare } = token
      yield* store.set(github, { ...rest, token: bare })
      assert.strictEqual(yield* tagOf(refresh(github)), "RefreshNotAvailable")
      assert.deepStrictEqual(provider.redemptions, [])
    }),
  )
})

describe("after a refresh", () => {
  it.effect("there is no other for 30 s: the token is returned as it is", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      yield* access(github)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* access(github), "access-1")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(provider.times(), [0, 30])
    }),
  )

  it.effect("a clock that is set back does not lengthen that time", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      yield* TestClock.setTime(3_600_000)
      yield* access(github)
      yield* TestClock.setTime(3_599_000)
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(provider.times(), [3600, 3599])
    }),
  )

  it.effect("of a token that lives for 10 s there may be another after 5 s", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp({ life: 10 })
      yield* access(github)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* access(github), "access-1")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(provider.times(), [0, 5])
    }),
  )

  it.effect("of a token that was expired at birth there may be another after half a second", () =>
    Effect.gen(function* () {
      const { access, provider, refresh } = yield* setUp({ life: 0 })
      assert.strictEqual(yield* access(github), "access-1")
      yield* TestClock.adjust("499 millis")
      const failure = yield* Effect.flip(refresh(github))
      assert.strictEqual(failure._tag, "RefreshRateLimited")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(provider.times(), [0, 0.5])
    }),
  )

  it.effect("that says nothing of the token's life it is believed to be what it was before", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, store } = yield* setUp()
      const { token, ...rest } = yield* record
      const since = DateTime.makeUnsafe(-600_000)
      yield* store.set(github, { ...rest, since, token: { ...token, expiresAt: DateTime.makeUnsafe(-1) } })
      provider.answers(github, Effect.succeed({ accessToken: Redacted.make("a while") }))
      yield* refresh(github)
      assert.deepStrictEqual((yield* record).token.expiresAt, DateTime.makeUnsafe(599_999))
    }),
  )

  it.effect("of a token without expiry there may be another after 30 s", () =>
    Effect.gen(function* () {
      const { access, provider, record, store } = yield* setUp()
      const { token, ...rest } = yield* record
      const { expiresAt: _, ...eternal } = token
      yield* store.set(github, { ...rest, token: eternal })
      provider.answers(github, Effect.succeed({ accessToken: Redacted.make("eternal") }))
      assert.strictEqual(yield* access(github), "eternal")
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* access(github), "eternal")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* access(github), "access-2")
    }),
  )
})
