import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber, Option, Schedule } from "effect"
import { TestClock } from "effect/testing"
import type { StoreError } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { StoreCorrupt, StoreUnavailable } from "../../src/domain/Errors.ts"
import { dueAt } from "../../src/domain/RenewalPlan.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import {
  accountsOf,
  days,
  gaps,
  gives,
  hours,
  minutes,
  seconds,
  setUp,
  settle,
  unreachable,
} from "../support/Renewing.ts"

const github = Account.make("github")
const other = Account.make("github", "other")

/** 30 s, doubling, up to 30 min. */
const waits = [30, 60, 120, 240, 480, 960, 1800, 1800, 1800].map(seconds)

const isUnavailable: Effect.Effect<void, StoreError> = StoreUnavailable.make({
  operation: "write",
  path: "/nowhere",
})

/** Milliseconds of real time: much is simulated. */
const patience = 120_000

describe("while a provider is down for three days", () => {
  it.effect("it is asked ten times, at growing intervals, and a later use brings renewal back", () =>
    Effect.gen(function* () {
      const { calls, login, provider, record, refresh, start } = yield* setUp()
      provider.answers = () => unreachable
      const { token } = yield* login(github, minutes(10))
      const next = yield* start
      yield* TestClock.adjust("72 hours")
      const times = calls.map(({ at }) => at)
      assert.strictEqual(times[0], minutes(5))
      assert.deepStrictEqual(gaps(times), waits)
      assert.isUndefined(yield* next(github))
      assert.strictEqual((yield* record(github)).token.refreshToken, token.refreshToken)

      provider.answers = () => gives(hours(1))
      yield* refresh(github)
      yield* settle(100)
      const due = DateTime.toEpochMillis(Option.getOrThrow(dueAt(github, yield* record(github))))
      assert.strictEqual(yield* next(github), due)
      yield* TestClock.adjust(due - days(3))
      assert.deepStrictEqual(
        calls.slice(10).map(({ at }) => at),
        [days(3), due],
      )
    }),
  )

  it.effect(
    "it is not asked more than three times in 5 min, although a caller asks every few seconds",
    () =>
      Effect.gen(function* () {
        const { begun, calls, login, provider, record, refresh, start } = yield* setUp()
        provider.answers = () => unreachable
        yield* login(github, minutes(10))
        const next = yield* start
        const asking = yield* Effect.forkChild(
          Effect.repeat(Effect.ignore(refresh(github)), Schedule.spaced("20 seconds")),
        )
        yield* TestClock.adjust("72 hours")
        assert.isAtMost(calls.length, 3 * (72 * 12 + 6))
        assert.strictEqual(begun.length, calls.length)
        assert.isUndefined(yield* next(github))
        provider.answers = () => gives(hours(1))
        yield* TestClock.adjust("6 minutes")
        yield* Fiber.interrupt(asking)
        assert.strictEqual((yield* record(github)).history.last?.outcome, "refreshed")
        assert.isDefined(yield* next(github))
      }),
    patience,
  )
})

describe("a provider", () => {
  it.effect("that asks for patience gets it", () =>
    Effect.gen(function* () {
      const { calls, login, provider, start } = yield* setUp()
      provider.answers = () => Effect.fail(Reason.RateLimited({ retryAfter: Option.some(Duration.minutes(45)) }))
      yield* login(github, minutes(10))
      yield* start
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(gaps(calls.map(({ at }) => at)), [minutes(45), minutes(45)])
    }),
  )

  it.effect("that hangs delays nobody else", () =>
    Effect.gen(function* () {
      const { calls, login, mostAtOnce, provider, start } = yield* setUp(["slow", "quick"])
      provider.answers = (call) =>
        call.provider === "slow" ? Effect.delay(unreachable, "15 seconds") : Effect.delay(gives(hours(1)), "1 seconds")
      for (const account of [...accountsOf("slow", 40), ...accountsOf("quick", 40)]) yield* login(account, 0)
      yield* start
      yield* TestClock.adjust("10 seconds")
      const quick = calls.filter((call) => call.provider === "quick")
      assert.strictEqual(quick.length, 40)
      assert.strictEqual(quick.at(-1)?.at, seconds(9))
      assert.strictEqual(mostAtOnce("slow"), 4)
      assert.strictEqual(calls.length, 44)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(mostAtOnce("slow"), 4)
      assert.strictEqual(new Set(calls.map(({ account }) => account)).size, 80)
    }),
  )

  it.effect("that does not answer for one account still renews its others", () =>
    Effect.gen(function* () {
      const { calls, login, provider, start, timesOf } = yield* setUp()
      const answer = yield* Deferred.make<void>()
      const others = accountsOf("github", 19)
      provider.answers = ({ account }) =>
        account === "github" ? Effect.andThen(Deferred.await(answer), gives(hours(1))) : gives(hours(1))
      for (const account of [github, ...others]) yield* login(account, minutes(10))
      yield* start
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(calls.length, 20)
      assert.deepStrictEqual(new Set(calls.map(({ at }) => at)), new Set([minutes(5)]))
      yield* TestClock.adjust("10 hours")
      assert.deepStrictEqual(timesOf(github), [minutes(5)])
      for (const account of others) assert.isAtLeast(timesOf(account).length, 10)
      yield* Deferred.succeed(answer, undefined)
    }),
  )

  it.effect("over which the refresher breaks is asked again at growing intervals, and others are renewed", () =>
    Effect.gen(function* () {
      const { login, provider, start, timesOf } = yield* setUp()
      const accounts = accountsOf("github", 12)
      const broken = accounts.slice(0, 6)
      provider.answers = ({ account }) =>
        broken.some((one) => one.toString() === account) ? Effect.die("broken") : gives(minutes(10))
      for (const account of accounts) yield* login(account, minutes(10))
      yield* start
      yield* TestClock.adjust("1 days")
      for (const account of broken) assert.deepStrictEqual(gaps(timesOf(account)), waits)
      for (const account of accounts.slice(6)) {
        assert.strictEqual(timesOf(account).length, 24 * 12)
        assert.deepStrictEqual(new Set(gaps(timesOf(account))), new Set([minutes(5)]))
      }
    }),
  )
})

describe("a store", () => {
  it.effect(
    "that takes no writes has nothing sent, is tried at growing intervals, and renewal goes on when it does",
    () =>
      Effect.gen(function* () {
        const { begun, calls, faults, login, start, touch, working } = yield* setUp()
        yield* login(github, minutes(10))
        yield* start
        faults.set = () => isUnavailable
        yield* Effect.forkChild(Effect.repeat(touch(github), Schedule.spaced("7 seconds")))
        yield* TestClock.adjust("15 minutes")
        assert.deepStrictEqual(calls, [])
        assert.deepStrictEqual(gaps(begun), waits.slice(0, 4))
        faults.set = working
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(gaps(begun), waits.slice(0, 5))
        assert.strictEqual(calls.length, 1)
      }),
  )

  it.effect("that takes no writes is left alone after ten attempts, until there is another token", () =>
    Effect.gen(function* () {
      const { begun, calls, faults, login, start, touch, working } = yield* setUp()
      yield* login(github, minutes(10))
      const next = yield* start
      faults.set = () => isUnavailable
      yield* Effect.forkChild(Effect.repeat(touch(github), Schedule.spaced("1 minutes")))
      yield* TestClock.adjust("2 days")
      assert.deepStrictEqual(gaps(begun), waits)
      assert.isUndefined(yield* next(github))
      faults.set = working
      yield* login(github, minutes(10))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        calls.map(({ at }) => at),
        [days(2) + minutes(5)],
      )
    }),
  )

  it.effect("that cannot list its accounts is asked again, and until then what changes is renewed", () =>
    Effect.gen(function* () {
      const { faults, login, start, timesOf } = yield* setUp()
      yield* login(github, 0)
      faults.list = isUnavailable
      yield* start
      yield* TestClock.adjust("10 seconds")
      yield* login(other, seconds(2))
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(timesOf(github), [])
      assert.deepStrictEqual(timesOf(other).slice(0, 1), [seconds(11)])
      faults.list = Effect.void
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(timesOf(github), [seconds(90)])
    }),
  )

  const unreadable: ReadonlyArray<readonly [what: string, Effect.Effect<never, StoreError>]> = [
    ["is damaged", Effect.fail(StoreCorrupt.make({ path: "/nowhere" }))],
    ["cannot be read", Effect.die("broken")],
  ]
  for (const [what, fault] of unreadable) {
    it.effect(`with a record that ${what} renews the others, and that one when it is whole again`, () =>
      Effect.gen(function* () {
        const { faults, login, start, timesOf, working } = yield* setUp()
        const accounts = accountsOf("github", 9)
        for (const account of [github, ...accounts]) yield* login(account, minutes(10))
        faults.get = (account) => (account.bucket === github.bucket ? fault : Effect.void)
        yield* start
        yield* TestClock.adjust("5 minutes")
        for (const account of accounts) assert.deepStrictEqual(timesOf(account), [minutes(5)])
        assert.deepStrictEqual(timesOf(github), [])
        faults.get = working
        yield* login(github, minutes(20))
        yield* TestClock.adjust("20 minutes")
        assert.strictEqual(timesOf(github).length, 1)
      }),
    )
  }

  it.effect("with a record that cannot be read for a while has it renewed although nothing was written", () =>
    Effect.gen(function* () {
      const { faults, login, start, timesOf, working } = yield* setUp()
      yield* login(github, minutes(10))
      faults.get = () => isUnavailable
      yield* start
      yield* TestClock.adjust("2 minutes")
      faults.get = working
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(timesOf(github), [minutes(5)])
    }),
  )
})
