import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stdio, Terminal } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock, TestConsole } from "effect/testing"
import * as GrantQuestions from "../../src/cli/GrantQuestions.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Questions } from "../../src/server/Questions.ts"
import * as Keyboard from "../support/Keyboard.ts"
import * as Logs from "../support/Logs.ts"
import { settle } from "../support/Refreshing.ts"

const setUp = Effect.fnUntraced(function* (isTerminal: boolean) {
  const questions = yield* Questions
  const keyboard = Keyboard.make()
  const logs = Logs.make()
  const running = yield* GrantQuestions.run.pipe(
    Effect.provideService(Terminal.Terminal, keyboard.terminal),
    Effect.provide([
      Stdio.layerTest({
        stdinIsTerminal: Effect.succeed(isTerminal),
        stderrIsTerminal: Effect.succeed(isTerminal),
      }),
      logs.layer,
    ]),
    Effect.forkChild,
  )
  yield* settle
  const ask = (provider: string) =>
    Effect.forkChild(
      questions.ask({
        grant: { id: "00000000", label: "sandbox 1" },
        wish: { _tag: "Account", permission: "get_token", account: Account.make(provider, "work") },
        settle: () => Effect.void,
      }),
    ).pipe(Effect.tap(settle))
  const read = Effect.andThen(TestClock.adjust("1 second"), settle)
  return { questions, running, ask, read, logs, ...keyboard }
})

const test = <E>(name: string, body: Effect.Effect<void, E, Questions>) =>
  it.effect(name, () =>
    body.pipe(Effect.provide(Questions.layer.pipe(Layer.provide(SecureRandom.layerWebCrypto), Layer.fresh))),
  )

const line = (provider: string) => `sandbox 1 asks for get_token of ${provider}:work: [o]nce, [r]un, [a]lways, [n]o?`

describe("serve --ask", () => {
  test(
    "puts one question after the other on the terminal, and takes a key for an answer",
    Effect.gen(function* () {
      const { ask, isRead, press, questions, read } = yield* setUp(true)
      const waiting = [yield* ask("a"), yield* ask("b"), yield* ask("c"), yield* ask("d")]
      assert.deepStrictEqual(yield* TestConsole.errorLines, [line("a")])
      for (const key of ["o", "r", "a", "n"]) {
        yield* read
        yield* press("x")
        yield* press("return")
        assert.isTrue(isRead())
        yield* press(key)
      }
      assert.deepStrictEqual(yield* Effect.forEach(waiting, Fiber.join), [true, true, true, false])
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        line("a"),
        "Answered: allowed once.",
        line("b"),
        "Answered: allowed until tokenkeep serve ends.",
        line("c"),
        "Answered: allowed as long as the grant is there.",
        line("d"),
        "Answered: refused, and not asked again until tokenkeep serve ends.",
      ])
      assert.deepStrictEqual(yield* questions.list, [])
      // Ctrl-C is the terminal's again.
      assert.isFalse(isRead())
    }),
  )

  test(
    "does not take what was typed before the question could be read",
    Effect.gen(function* () {
      const { ask, press, questions, read } = yield* setUp(true)
      yield* ask("a")
      yield* press("a")
      yield* read
      assert.lengthOf(yield* questions.list, 1)
      yield* press("escape")
      yield* read
      assert.lengthOf(yield* questions.list, 1)
      yield* press("n")
      assert.lengthOf(yield* questions.list, 0)
    }),
  )

  test(
    "goes on when somebody else has answered, or nobody for five minutes",
    Effect.gen(function* () {
      const { ask, questions, read } = yield* setUp(true)
      const first = yield* ask("a")
      yield* ask("b")
      const [question] = yield* questions.list
      yield* questions.decide(question?.id ?? "", "once")
      yield* read
      assert.isTrue(yield* Fiber.join(first))
      yield* TestClock.adjust("5 minutes")
      yield* settle
      yield* ask("c")
      const gone = "Answered elsewhere, or given up."
      assert.deepStrictEqual(yield* TestConsole.errorLines, [line("a"), gone, line("b"), gone, line("c")])
    }),
  )

  test(
    "ends the server at Ctrl-C",
    Effect.gen(function* () {
      const { ask, press, read, running } = yield* setUp(true)
      yield* ask("a")
      yield* read
      yield* press("c", true)
      assert.strictEqual((yield* Effect.flip(Fiber.join(running)))._tag, "ServerStopped")
    }),
  )

  test(
    "says in the log what to type, where there is no terminal",
    Effect.gen(function* () {
      const { ask, isRead, logs, questions } = yield* setUp(false)
      yield* ask("a")
      yield* ask("a")
      const [question] = yield* questions.list
      assert.deepStrictEqual(logs.lines, [
        `Warn sandbox 1 asks for get_token of a:work. Answer with: tokenkeep approve ${question?.id} once (or run, always, no); see tokenkeep approve`,
      ])
      assert.isFalse(isRead())
      assert.deepStrictEqual(yield* TestConsole.errorLines, [])
    }),
  )
})
