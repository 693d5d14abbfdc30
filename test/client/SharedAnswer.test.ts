import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as SharedAnswer from "../../src/client/SharedAnswer.ts"

/** Questions that are numbered, and answered when the test says so. */
const setUp = Effect.gen(function* () {
  const shared = yield* SharedAnswer.make<number, string>()
  const gates = yield* Effect.replicateEffect(Deferred.make<number, string>(), 3)
  const gate = (n: number) => gates[n - 1] ?? Deferred.makeUnsafe<number, string>()
  let questions = 0
  const question = Effect.suspend(() => Deferred.await(gate(++questions)))
  const ask = Effect.forkChild(
    Effect.suspend(() => shared.after(shared.asked(), question)),
    { startImmediately: true },
  )
  const answer = (n: number) => Effect.asVoid(Deferred.succeed(gate(n), n))
  return { ask, answer, gate, questions: () => questions }
})

describe("a shared answer", () => {
  it.effect("is not one to a question from before", () =>
    Effect.gen(function* () {
      const { answer, ask, questions } = yield* setUp
      const first = yield* ask
      const others = yield* Effect.all([ask, ask, ask])
      yield* answer(1)
      assert.strictEqual(yield* Fiber.join(first), 1)
      yield* answer(2)
      assert.deepStrictEqual(yield* Effect.all(others.map((fiber) => Fiber.join(fiber))), [2, 2, 2])
      assert.strictEqual(questions(), 2)
      const later = yield* ask
      yield* answer(3)
      assert.strictEqual(yield* Fiber.join(later), 3)
    }),
  )

  it.effect("is waited for by the others when who asked first goes away, and may be a failure", () =>
    Effect.gen(function* () {
      const { ask, gate, questions } = yield* setUp
      const first = yield* ask
      const others = yield* Effect.all([ask, ask])
      yield* Fiber.interrupt(first)
      yield* Deferred.fail(gate(2), "no")
      for (const other of others) assert.strictEqual(yield* Effect.flip(Fiber.join(other)), "no")
      assert.strictEqual(questions(), 2)
    }),
  )
})
