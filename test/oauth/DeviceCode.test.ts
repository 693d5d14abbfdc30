import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Option, Ref } from "effect"
import { TestClock } from "effect/testing"
import { AuthorizationPending, SlowDown } from "../../src/domain/Errors.ts"
import { pollUntilGranted } from "../../src/oauth/DeviceCode.ts"
import { GrantDenied, GrantExpired } from "../../src/oauth/GrantFailure.ts"
import { ProviderFailure, Reason } from "../../src/oauth/ProviderFailure.ts"

const pending = Effect.fail(AuthorizationPending.make({}))
const slowDown = Effect.fail(SlowDown.make({}))
const unreachable = Effect.fail(
  new ProviderFailure({ provider: "x", reason: Reason.Transient({ what: "unreachable" }) }),
)
const limited = (seconds: number) =>
  Effect.fail(
    new ProviderFailure({
      provider: "x",
      reason: Reason.RateLimited({ retryAfter: Option.some(Duration.seconds(seconds)) }),
    }),
  )
const granted = Effect.succeed("token")

type Answer = typeof pending | typeof slowDown | typeof unreachable | typeof granted

/** Polls through a script of answers, and notes in which second each poll came. After the script: still pending. */
const run = Effect.fnUntraced(function* (
  script: ReadonlyArray<Answer | Effect.Effect<never, GrantDenied | GrantExpired>>,
  expiresIn: Duration.Duration = Duration.minutes(10),
) {
  const polls: Array<number> = []
  const interval = yield* Ref.make(Duration.seconds(5))
  const poll = Effect.gen(function* () {
    const answer = script[polls.length] ?? pending
    polls.push((yield* Clock.currentTimeMillis) / 1000)
    return yield* answer
  })
  const fiber = yield* Effect.forkChild(pollUntilGranted(poll, interval, expiresIn))
  return { fiber, polls, interval }
})

describe("polling for a device code", () => {
  it.effect("polls at 5 and 10 s, and after being asked to slow down then at 20 and 30 s", () =>
    Effect.gen(function* () {
      const { fiber, interval, polls } = yield* run([pending, slowDown, pending, granted])
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(polls, [])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(polls, [5, 10, 20, 30])
      assert.strictEqual(yield* Fiber.join(fiber), "token")
      assert.strictEqual(Duration.toSeconds(yield* Ref.get(interval)), 10)
    }),
  )

  it.effect("slows down further each time it is asked to", () =>
    Effect.gen(function* () {
      const { polls } = yield* run([slowDown, slowDown, pending, pending])
      yield* TestClock.adjust("65 seconds")
      assert.deepStrictEqual(polls, [5, 15, 30, 45, 60])
    }),
  )

  it.effect("doubles the wait while the provider cannot be reached, up to a minute, and then goes back", () =>
    Effect.gen(function* () {
      const { polls } = yield* run([unreachable, unreachable, unreachable, unreachable, pending, pending])
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(polls, [5, 15, 35, 75, 135, 140, 145, 150, 155, 160, 165, 170, 175, 180])
    }),
  )

  it.effect("waits as long as a provider asks it to", () =>
    Effect.gen(function* () {
      const { polls } = yield* run([limited(47), granted])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(polls, [5, 52])
    }),
  )

  it.effect("does not poll once the code is past its life, and says that it is", () =>
    Effect.gen(function* () {
      const { fiber, polls } = yield* run([], Duration.seconds(18))
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(polls, [5, 10, 15])
      assert.instanceOf(yield* Effect.flip(Fiber.join(fiber)), GrantExpired)
    }),
  )

  it.effect("stops at once when access is denied", () =>
    Effect.gen(function* () {
      const { fiber, polls } = yield* run([pending, Effect.fail(new GrantDenied())])
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(polls, [5, 10])
      assert.instanceOf(yield* Effect.flip(Fiber.join(fiber)), GrantDenied)
    }),
  )

  it.effect("does not ask again when it is interrupted", () =>
    Effect.gen(function* () {
      const { fiber, polls } = yield* run([])
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(polls, [5])
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }),
  )
})
