import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import * as SingleFlight from "../../src/broker/SingleFlight.ts"
import { settle } from "../support/Refreshing.ts"

/** Work that waits for its end, and says how often it was begun. */
const setUp = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const once = yield* Scope.provide(SingleFlight.make<string, string, string>(), scope)
  const end = yield* Deferred.make<string, string>()
  const began: Array<string> = []
  const work = (name: string) => () =>
    Effect.andThen(
      Effect.sync(() => began.push(name)),
      Deferred.await(end),
    )
  return { began, end, once, scope, work }
})

describe("work that is under way", () => {
  it.effect("is joined by whoever asks for the same, and by nobody else", () =>
    Effect.gen(function* () {
      const { began, end, once, work } = yield* setUp
      const asking = yield* Effect.forEach(["a", "a", "b", "a"], (key, i) =>
        Effect.forkChild(once(key, work(`${key}${i}`))),
      )
      yield* settle
      assert.deepStrictEqual(began, ["a0", "b2"])
      yield* Deferred.succeed(end, "done")
      for (const fiber of asking) assert.strictEqual(yield* Fiber.join(fiber), "done")
    }),
  )

  it.effect("fails for all who joined it, and is begun anew by who asks after that", () =>
    Effect.gen(function* () {
      const { end, once, work } = yield* setUp
      const asking = yield* Effect.forEach([1, 2], () => Effect.forkChild(Effect.flip(once("a", work("first")))))
      yield* settle
      yield* Deferred.fail(end, "failed")
      for (const fiber of asking) assert.strictEqual(yield* Fiber.join(fiber), "failed")
      assert.strictEqual(yield* once("a", () => Effect.succeed("second")), "second")
    }),
  )

  it.effect("dies for all who joined it, and is begun anew by who asks after that", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp
      assert.isTrue(Exit.hasDies(yield* Effect.exit(once("a", () => Effect.die("a fault")))))
      assert.strictEqual(yield* once("a", () => Effect.succeed("second")), "second")
    }),
  )

  it.effect("is not given up with those who wait for it, not even with the first", () =>
    Effect.gen(function* () {
      const { began, end, once, work } = yield* setUp
      const first = yield* Effect.forkChild(once("a", work("first")))
      yield* settle
      const second = yield* Effect.forkChild(once("a", work("second")))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      const third = yield* Effect.forkChild(once("a", work("third")))
      yield* settle
      yield* Deferred.succeed(end, "done")
      assert.strictEqual(yield* Fiber.join(third), "done")
      assert.deepStrictEqual(began, ["first"])
    }),
  )

  it.effect("ends with the scope that it belongs to, and then no more is begun", () =>
    Effect.gen(function* () {
      const { began, once, scope, work } = yield* setUp
      const asking = yield* Effect.forkChild(Effect.exit(once("a", work("first"))))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(asking)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(once("a", work("second")))))
      assert.deepStrictEqual(began, ["first"])
    }),
  )
})

describe("work that answers before it is at its end", () => {
  it.effect("is over for who joined it, and who asks after that begins anew", () =>
    Effect.gen(function* () {
      const { end, once } = yield* setUp
      const early = yield* once("a", (answer) => {
        answer("early")
        return Deferred.await(end)
      })
      assert.strictEqual(early, "early")
      const gate = yield* Deferred.make<void>()
      const second = yield* Effect.forkChild(once("a", () => Effect.as(Deferred.await(gate), "second")))
      yield* settle
      // The end of the first must not be taken for the end of the second.
      yield* Deferred.succeed(end, "late")
      yield* settle
      const third = yield* Effect.forkChild(once("a", () => Effect.succeed("third")))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(second), "second")
      assert.strictEqual(yield* Fiber.join(third), "second")
    }),
  )

  it.effect("has given the first answer for good", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp
      const given = yield* once("a", (answer) => {
        answer("first")
        answer("second")
        return Effect.fail("failed")
      })
      assert.strictEqual(given, "first")
    }),
  )
})

describe("whoever is told the answer", () => {
  it.effect("and asks again at once begins anew", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp
      let times = 0
      const work = () =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => String(++times)),
        )
      const twice = Effect.zip(once("a", work), once("a", work))
      assert.deepStrictEqual(yield* twice, ["1", "2"])
    }),
  )
})
