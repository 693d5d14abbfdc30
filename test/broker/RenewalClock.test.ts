import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Account from "../../src/domain/AccountKey.ts"
import { dueAt } from "../../src/domain/RenewalPlan.ts"
import { accountsOf, gaps, gives, hours, minutes, seconds, setUp, settle, unreachable } from "../support/Renewing.ts"

const github = Account.make("github")

/** Milliseconds of real time: much is simulated. */
const patience = 120_000

describe("after the machine slept for eight hours", () => {
  it.effect("what is due is renewed within 30 s of waking, soonest expiry first, four at a time at each provider", () =>
    Effect.gen(function* () {
      const { calls, leap, login, mostAtOnce, provider, start } = yield* setUp(["github", "google"])
      provider.answers = () => Effect.delay(gives(hours(1)), "1 seconds")
      const expiries = new Map<string, number>()
      for (const [n, account] of [...accountsOf("github", 13), ...accountsOf("google", 13)].entries()) {
        const life = minutes(60 + ((7 * n) % 13))
        expiries.set(account.toString(), life)
        yield* login(account, life)
      }
      const fresh = Account.make("github", "fresh")
      yield* login(fresh, hours(24))
      yield* start
      yield* TestClock.adjust("11 seconds")
      yield* leap(hours(8))
      yield* TestClock.adjust("29 seconds")
      for (const name of ["github", "google"]) {
        const own = calls.filter((call) => call.provider === name)
        assert.deepStrictEqual(
          own.map(({ at }) => at),
          Array.from({ length: 13 }, (_, n) => seconds(30 + Math.floor(n / 4))),
        )
        const order = own.map(({ account }) => expiries.get(account) ?? 0)
        assert.deepStrictEqual(
          order,
          order.toSorted((one, other) => one - other),
        )
        assert.strictEqual(mostAtOnce(name), 4)
      }
      assert.strictEqual(calls.filter(({ account }) => account === fresh.toString()).length, 0)
    }),
  )

  it.effect(
    "ten thousand accounts are renewed once each, and a provider that hangs delays only its own",
    () =>
      Effect.gen(function* () {
        const names = ["one", "two", "three", "four", "hanging"]
        const { calls, leap, login, mostAtOnce, provider, start } = yield* setUp(names)
        provider.answers = (call) =>
          call.provider === "hanging"
            ? Effect.delay(unreachable, "15 seconds")
            : Effect.delay(gives(hours(12)), "1 seconds")
        for (const name of names) for (const account of accountsOf(name, 2000)) yield* login(account, hours(1))
        const scope = yield* Scope.make()
        yield* Scope.provide(start, scope)
        yield* settle(5000)
        yield* leap(hours(8))
        yield* TestClock.adjust("10 minutes")
        for (const name of names.slice(0, -1)) {
          const own = calls.filter((call) => call.provider === name)
          assert.strictEqual(own.length, 2000)
          assert.strictEqual(new Set(own.map(({ account }) => account)).size, 2000)
          assert.strictEqual(own.at(-1)?.at, seconds(30 + 499))
        }
        for (const name of names) assert.strictEqual(mostAtOnce(name), 4)
        assert.isAtMost(calls.filter((call) => call.provider === "hanging").length, 4 * 40)
        yield* Scope.close(scope, Exit.void)
        yield* TestClock.adjust("15 seconds")
      }),
    patience,
  )
})

describe("when the clock is set", () => {
  it.effect("forward by an hour, what is due then is renewed once, and the rest when it is due", () =>
    Effect.gen(function* () {
      const { calls, leap, login, provider, start, timesOf } = yield* setUp()
      provider.answers = () => gives(hours(12))
      const [soon, late] = [accountsOf("github", 30), accountsOf("github", 60).slice(30)]
      for (const account of soon) yield* login(account, hours(1))
      for (const account of late) yield* login(account, hours(3))
      yield* start
      yield* TestClock.adjust("15 seconds")
      yield* leap(hours(1))
      yield* TestClock.adjust("30 minutes")
      for (const account of soon) assert.deepStrictEqual(timesOf(account), [seconds(30)])
      assert.strictEqual(calls.length, soon.length)
      yield* TestClock.adjust("90 minutes")
      for (const account of late) {
        const [at = 0] = timesOf(account)
        assert.isAtMost(at, hours(2) - minutes(18))
        assert.isAtLeast(at, hours(2) - minutes(18) - seconds(30))
      }
      assert.strictEqual(calls.length, soon.length + late.length)
    }),
  )

  it.effect(
    "back by an hour, a token is renewed as long after it came as ever, whatever the store tells meanwhile",
    () =>
      Effect.gen(function* () {
        const { leap, login, provider, start, timesOf, touch } = yield* setUp()
        provider.answers = () => gives(hours(1))
        const told = Account.make("github", "told")
        const due = yield* Effect.forEach([github, told], (account) =>
          Effect.map(login(account, hours(1)), (record) =>
            DateTime.toEpochMillis(Option.getOrThrow(dueAt(account, record))),
          ),
        )
        yield* start
        yield* TestClock.adjust("10 minutes")
        yield* leap(-hours(1))
        yield* TestClock.adjust("5 minutes")
        yield* touch(told)
        yield* TestClock.adjust("2 hours")
        for (const [n, account] of [github, told].entries()) {
          const first = due[n] ?? 0
          assert.deepStrictEqual(timesOf(account), [first, 2 * first])
        }
      }),
  )

  it.effect("forward and back, nothing is renewed more than once for that, and everything before it expires", () =>
    Effect.gen(function* () {
      const { calls, leap, login, provider, start, timesOf } = yield* setUp()
      provider.answers = () => gives(hours(1))
      const accounts = accountsOf("github", 50)
      for (const account of accounts) yield* login(account, hours(1))
      yield* start
      yield* TestClock.adjust("5 minutes")
      yield* leap(hours(1))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(calls.length, accounts.length)
      yield* leap(-hours(1))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(calls.length, accounts.length)
      yield* TestClock.adjust("100 minutes")
      for (const account of accounts) {
        const times = timesOf(account)
        assert.strictEqual(times.length, 3)
        for (const gap of gaps(times)) assert.isBelow(gap, hours(1))
      }
    }),
  )

  it.effect("back and forth every minute, no account is renewed more often than that", () =>
    Effect.gen(function* () {
      const { calls, leap, login, provider, start } = yield* setUp()
      provider.answers = () => gives(hours(1))
      yield* login(github, hours(1))
      yield* start
      for (let n = 0; n < 60; n++) {
        yield* leap(n % 2 === 0 ? hours(1) : -hours(1))
        yield* TestClock.adjust("1 minutes")
      }
      const times = calls.map(({ at }) => at)
      for (const gap of gaps(times)) assert.isAtLeast(gap, seconds(30))
    }),
  )

  it.effect("by little at a time, as a clock is kept right, nothing moves", () =>
    Effect.gen(function* () {
      const { leap, login, start } = yield* setUp()
      const next = yield* Effect.andThen(login(github, hours(1)), start)
      const planned = yield* next(github)
      for (let n = 0; n < 20; n++) {
        yield* leap(n % 2 === 0 ? 2000 : -2000)
        yield* TestClock.adjust("30 seconds")
      }
      assert.strictEqual(yield* next(github), planned)
    }),
  )
})
