import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Option, Schedule, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountRecord } from "../../src/domain/AccountRecord.ts"
import { dueAt } from "../../src/domain/RenewalPlan.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import { accountsOf, days, gaps, gives, hours, minutes, seconds, setUp, settle } from "../support/Renewing.ts"

const github = Account.make("github")
const other = Account.make("github", "other")

const plannedFor = (record: AccountRecord) => DateTime.toEpochMillis(Option.getOrThrow(dueAt(github, record)))

/** Milliseconds of real time: sixty days are simulated. */
const patience = 120_000

describe("a token is renewed", () => {
  const cases = [
    { called: "45 s", life: seconds(45), lead: seconds(22.5), spread: 0 },
    { called: "10 min", life: minutes(10), lead: minutes(5), spread: 0 },
    { called: "1 h", life: hours(1), lead: minutes(6), spread: seconds(30) },
    { called: "60 days", life: days(60), lead: days(6), spread: seconds(30) },
  ]
  for (const { called, lead, life, spread } of cases) {
    it.effect(
      `to the millisecond when it is due, and again when the next one is, if it lives for ${called}`,
      () =>
        Effect.gen(function* () {
          const { calls, login, provider, record, start } = yield* setUp()
          provider.answers = () => gives(life)
          const due = plannedFor(yield* login(github, life))
          assert.isAtMost(due, life - lead)
          assert.isAtLeast(due, life - lead - spread)
          const next = yield* start
          assert.strictEqual(yield* next(github), due)
          yield* TestClock.adjust(due - 1)
          assert.deepStrictEqual(calls, [])
          yield* TestClock.adjust(1)
          assert.deepStrictEqual(calls, [{ account: "github", provider: "github", at: due }])
          assert.strictEqual(yield* next(github), plannedFor(yield* record(github)))
          assert.strictEqual(yield* next(github), 2 * due)
          if (life > days(1)) return
          yield* TestClock.adjust(3 * due)
          assert.deepStrictEqual(
            calls.map(({ at }) => at),
            [due, 2 * due, 3 * due, 4 * due],
          )
        }),
      patience,
    )
  }

  it.effect("at once if it was due before renewal began", () =>
    Effect.gen(function* () {
      const { calls, login, start } = yield* setUp()
      yield* login(github, minutes(1))
      yield* TestClock.adjust("2 minutes")
      yield* start
      assert.deepStrictEqual(
        calls.map(({ at }) => at),
        [minutes(2)],
      )
    }),
  )

  it.effect("no more than every 30 s if it has expired when it comes, however often the store tells of changes", () =>
    Effect.gen(function* () {
      const { login, provider, start, timesOf, touch } = yield* setUp()
      provider.answers = () => gives(0)
      yield* login(github, 0)
      yield* login(other, 0)
      yield* start
      yield* Effect.forkChild(Effect.repeat(touch(other), Schedule.spaced("700 millis")))
      yield* TestClock.adjust("10 minutes")
      for (const account of [github, other]) {
        const times = timesOf(account)
        assert.strictEqual(times[0], 0)
        assert.deepStrictEqual(new Set(gaps(times)), new Set([seconds(30)]))
        assert.strictEqual(times.length, 21)
      }
    }),
  )

  it.effect("never if it has no refresh token or no expiry", () =>
    Effect.gen(function* () {
      const { calls, login, put, start } = yield* setUp()
      const { token, ...rest } = yield* login(github, hours(1))
      const { refreshToken: _, ...withoutRefresh } = token
      const { expiresAt: __, ...withoutExpiry } = token
      yield* put(github, { ...rest, token: withoutRefresh })
      yield* put(other, { ...rest, token: withoutExpiry })
      const next = yield* start
      assert.isUndefined(yield* next(github))
      assert.isUndefined(yield* next(other))
      yield* TestClock.adjust("1 days")
      assert.deepStrictEqual(calls, [])
    }),
  )

  it.effect("not again once the provider wants a new login, until there is one", () =>
    Effect.gen(function* () {
      const { calls, login, provider, start } = yield* setUp()
      provider.answers = () => Effect.fail(Reason.ReloginNeeded())
      yield* login(github, minutes(10))
      const next = yield* start
      yield* TestClock.adjust("2 days")
      assert.strictEqual(calls.length, 1)
      assert.isUndefined(yield* next(github))
      provider.answers = () => gives(minutes(10))
      yield* login(github, minutes(10))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        calls.map(({ at }) => at),
        [minutes(5), days(2) + minutes(5)],
      )
    }),
  )
})

describe("while it runs, renewal notices at once", () => {
  it.effect("a first login, and one that replaces another", () =>
    Effect.gen(function* () {
      const { calls, login, start } = yield* setUp()
      const next = yield* start
      yield* TestClock.adjust("7 seconds")
      yield* login(github, hours(9))
      yield* login(github, seconds(2))
      yield* settle(100)
      assert.strictEqual(yield* next(github), seconds(8))
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(
        calls.map(({ at }) => at),
        [seconds(8)],
      )
    }),
  )

  it.effect("a refresh that somebody else made", () =>
    Effect.gen(function* () {
      const { calls, login, record, refresh, start } = yield* setUp()
      yield* login(github, hours(1))
      const next = yield* start
      yield* TestClock.adjust("30 minutes")
      yield* refresh(github)
      yield* settle(100)
      const due = plannedFor(yield* record(github))
      assert.isAbove(due, hours(1))
      assert.strictEqual(yield* next(github), due)
      yield* TestClock.adjust(due - 1 - minutes(30))
      assert.strictEqual(calls.length, 1)
    }),
  )

  it.effect("a logout", () =>
    Effect.gen(function* () {
      const { calls, login, logout, start } = yield* setUp()
      yield* login(github, minutes(10))
      const next = yield* start
      yield* logout(github)
      yield* settle(100)
      assert.isUndefined(yield* next(github))
      yield* TestClock.adjust("1 days")
      assert.deepStrictEqual(calls, [])
    }),
  )

  it.effect("a logout and a login of accounts that wait for their turn", () =>
    Effect.gen(function* () {
      const { calls, login, logout, provider, start } = yield* setUp()
      const accounts = accountsOf("github", 7)
      const [removed, renewed, waiting] = accounts.slice(4)
      assert(removed !== undefined && renewed !== undefined && waiting !== undefined)
      provider.answers = () => Effect.delay(gives(hours(1)), "15 seconds")
      for (const [n, account] of accounts.entries()) yield* login(account, n)
      yield* TestClock.adjust("1 seconds")
      const next = yield* start
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(calls.length, 4)
      yield* logout(removed)
      yield* login(renewed, minutes(10))
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(
        calls.slice(4).map(({ account, at }) => [account, at]),
        [[waiting.toString(), seconds(16)]],
      )
      assert.isUndefined(yield* next(removed))
      assert.strictEqual(yield* next(renewed), seconds(6) + minutes(5))
    }),
  )
})

describe("a renewal that is under way", () => {
  it.effect("is not joined by a second one, whatever changes and whoever asks meanwhile", () =>
    Effect.gen(function* () {
      const { calls, login, provider, record, refresh, start, touch } = yield* setUp()
      provider.answers = () => Effect.delay(gives(hours(1)), "10 seconds")
      yield* login(github, 0)
      const next = yield* start
      yield* Effect.forkChild(Effect.repeat(touch(github), Schedule.spaced("1 seconds")))
      const users = yield* Effect.forkChild(Effect.all([refresh(github), refresh(github)], { concurrency: 2 }))
      yield* TestClock.adjust("1 minutes")
      yield* Fiber.join(users)
      assert.strictEqual(calls.length, 1)
      assert.strictEqual(yield* next(github), plannedFor(yield* record(github)))
    }),
  )

  it.effect("does not hide a login that is made meanwhile, nor outdate it", () =>
    Effect.gen(function* () {
      const { calls, login, provider, start } = yield* setUp()
      provider.answers = () => Effect.delay(gives(hours(1)), "10 seconds")
      yield* login(github, 0)
      const next = yield* start
      yield* TestClock.adjust("5 seconds")
      yield* login(github, minutes(10))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* next(github), seconds(5) + minutes(5))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        calls.map(({ at }) => at),
        [0, seconds(5) + minutes(5)],
      )
    }),
  )

  it.effect("is brought to its end when renewal ends, and after that nothing is begun and nobody waits", () =>
    Effect.gen(function* () {
      const { calls, login, provider, record, sleeping, start } = yield* setUp()
      provider.answers = () => Effect.delay(gives(minutes(10)), "10 seconds")
      const accounts = accountsOf("github", 9)
      for (const account of accounts) yield* login(account, 0)
      const scope = yield* Scope.make()
      yield* Scope.provide(start, scope)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(calls.length, 4)
      yield* Scope.close(scope, Exit.void)
      yield* login(github, 0)
      yield* TestClock.adjust("1 days")
      assert.strictEqual(calls.length, 4)
      assert.strictEqual(sleeping(), 0)
      const records = yield* Effect.forEach(accounts, record)
      assert.strictEqual(records.filter(({ history }) => history.last?.outcome === "refreshed").length, 4)
    }),
  )
})
