import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, PubSub } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as Account from "../../src/domain/AccountKey.ts"
import type { Wish } from "../../src/domain/Grant.ts"
import type { Decision } from "../../src/domain/Question.ts"
import { Questions } from "../../src/server/Questions.ts"
import { settle } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

const wishOf = (provider: string): Wish => ({
  _tag: "Account",
  permission: "get_token",
  account: Account.make(provider),
})

/** What was settled, and how. */
const setUp = Effect.gen(function* () {
  const questions = yield* Questions
  const settled: Array<readonly [Decision, boolean]> = []
  const ask = (provider: string, grant = "one") =>
    Effect.forkChild(
      questions.ask({
        grant: { id: grant, label: `sandbox ${grant}` },
        wish: wishOf(provider),
        settle: (decision, isAwaited) => Effect.sync(() => void settled.push([decision, isAwaited])),
      }),
    ).pipe(Effect.tap(settle))
  const ids = Effect.map(questions.list, (open) => open.map(({ id }) => id))
  const decide = (decision: Decision) =>
    Effect.flatMap(ids, ([id = ""]) => questions.decide(id, decision)).pipe(Effect.tap(settle))
  return { questions, ask, settled, ids, decide }
})

const isDone = (fiber: Fiber.Fiber<boolean>) => fiber.pollUnsafe() !== undefined

const layer = Questions.layer.pipe(Layer.provide(SecureRandom.layerWebCrypto), Layer.fresh)
const test = <E>(name: string, body: Effect.Effect<void, E, Questions>) =>
  it.effect(name, () => body.pipe(Effect.provide(layer)))

describe("questions", () => {
  test(
    "keep a request waiting 25 s, and can be answered for 5 min",
    Effect.gen(function* () {
      const { ask, decide, ids, settled } = yield* setUp
      const first = yield* ask("github")
      yield* TestClock.adjust("24 seconds")
      assert.isFalse(isDone(first))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* Fiber.join(first))
      assert.lengthOf(yield* ids, 1)
      yield* decide("once")
      assert.deepStrictEqual(settled, [["once", false]])

      const second = yield* ask("github")
      yield* TestClock.adjust("299 seconds")
      assert.isFalse(yield* Fiber.join(second))
      const [id = ""] = yield* ids
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* ids, 0)
      const questions = yield* Questions
      assert.strictEqual(yield* tagOf(questions.decide(id, "always")), "QuestionNotFound")
      assert.lengthOf(settled, 1)
    }),
  )

  test(
    "are asked once, however many requests wait; all of them hear it, and `once` is for one",
    Effect.gen(function* () {
      const { ask, decide, ids, questions, settled } = yield* setUp
      for (const [decision, allowed] of [
        ["run", 3],
        ["always", 3],
        ["no", 0],
        ["once", 1],
      ] as const) {
        const waiting = [yield* ask("github"), yield* ask("github"), yield* ask("github")]
        assert.lengthOf(yield* ids, 1)
        const question = yield* decide(decision)
        assert.deepStrictEqual([question.label, question.wish], ["sandbox one", wishOf("github")])
        const answers = yield* Effect.forEach(waiting, Fiber.join)
        assert.lengthOf(
          answers.filter((answer) => answer),
          allowed,
          decision,
        )
        assert.deepStrictEqual(settled.at(-1), [decision, true])
        assert.strictEqual(yield* tagOf(questions.decide(question.id, decision)), "QuestionNotFound")
      }
    }),
  )

  test(
    "are at most 4 at a time of one grant, and 16 in 5 min",
    Effect.gen(function* () {
      const { ask, decide, ids } = yield* setUp
      const four = yield* Effect.forEach(["a", "b", "c", "d"], (name) => ask(name))
      const fifth = yield* ask("e")
      assert.isTrue(isDone(fifth))
      assert.isFalse(yield* Fiber.join(fifth))
      const others = yield* ask("a", "two")
      assert.isFalse(isDone(others))
      assert.lengthOf(yield* ids, 5)
      for (let i = 0; i < 5; i++) yield* decide("no")
      yield* Effect.forEach(four, Fiber.join)

      for (let i = 4; i < 16; i++) {
        const next = yield* ask(`${i}`)
        assert.isFalse(isDone(next), `${i}`)
        yield* decide("no")
        yield* Fiber.join(next)
      }
      const tooMany = yield* ask("too many")
      assert.isTrue(isDone(tooMany))
      assert.isFalse(yield* Fiber.join(tooMany))
      yield* TestClock.adjust("5 minutes")
      const later = yield* ask("later")
      assert.isFalse(isDone(later))
    }),
  )

  test(
    "are forgotten with their grant, and answered with no",
    Effect.gen(function* () {
      const { ask, ids, questions, settled } = yield* setUp
      const mine = yield* ask("github")
      const others = yield* ask("github", "two")
      const closed = yield* Effect.flatMap(ids, ([id = ""]) => Effect.forkChild(questions.closed(id)))
      yield* settle
      assert.isUndefined(closed.pollUnsafe())
      yield* questions.forget("one")
      assert.isFalse(yield* Fiber.join(mine))
      yield* Fiber.join(closed)
      assert.isFalse(isDone(others))
      assert.lengthOf(yield* ids, 1)
      assert.deepStrictEqual(settled, [])
    }),
  )

  test(
    "are told to whoever puts them to people, who hears too that they are closed",
    Effect.gen(function* () {
      const { ask, decide, questions } = yield* setUp
      yield* Effect.gen(function* () {
        const asked = yield* questions.asked
        yield* ask("github")
        yield* ask("github")
        yield* ask("gitlab")
        const [first, second] = [yield* PubSub.take(asked), yield* PubSub.take(asked)]
        assert.deepStrictEqual([first.wish, second.wish], [wishOf("github"), wishOf("gitlab")])
        const closed = yield* Effect.forkChild(questions.closed(first.id))
        yield* decide("run")
        yield* Fiber.join(closed)
        const old = yield* Effect.forkChild(questions.closed(second.id))
        yield* settle
        yield* TestClock.adjust("5 minutes")
        yield* Fiber.join(old)
        yield* questions.closed("never was")
      }).pipe(Effect.scoped)
    }),
  )

  test(
    "do not count a request that went away as one that waits",
    Effect.gen(function* () {
      const { ask, decide, settled } = yield* setUp
      const gone = yield* ask("github")
      yield* Fiber.interrupt(gone)
      yield* decide("once")
      assert.deepStrictEqual(settled, [["once", false]])
    }),
  )
})
