import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, DateTime, Effect, Exit, Fiber, Option, Redacted, Stdio, Terminal } from "effect"
import { TestConsole } from "effect/testing"
import { NoInput } from "../../src/cli/GlobalFlags.ts"
import * as Import from "../../src/cli/Import.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { claude } from "../../src/import/Claude.ts"
import { qwen } from "../../src/import/Qwen.ts"
import type { FoundLogin } from "../../src/import/Search.ts"
import type { Tool } from "../../src/import/Tool.ts"
import * as Keyboard from "../support/Keyboard.ts"
import { NodeServices } from "@effect/platform-node"

const loginOf = (tool: Tool): FoundLogin => ({
  tool,
  account: "default",
  suggestion: Option.some(Account.make("anthropic")),
  path: "/nowhere",
  entry: "x",
  read: () => Option.none(),
  rotates: true,
  content: {
    _tag: "Token",
    token: {
      accessToken: Redacted.make("a"),
      refreshToken: Redacted.make("r"),
      expiresAt: DateTime.makeUnsafe(0),
      tokenType: "Bearer",
      extras: Redacted.make({}),
    },
  },
  state: "usable",
  why: Option.none(),
})

/** What is answered by whoever presses these keys. */
const answered = Effect.fnUntraced(function* (
  tool: Tool,
  keys: ReadonlyArray<string>,
  isTerminal = true,
  noInput = false,
) {
  const asking = yield* Import.ask(loginOf(tool), Account.make("anthropic")).pipe(
    Effect.provideService(Terminal.Terminal, Keyboard.pressed(keys)),
    Effect.provideService(NoInput, noInput),
    // Not that of whoever runs the tests, where CI may be set.
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} })),
    Effect.provide([
      NodeServices.layer,
      Stdio.layerTest({ stdinIsTerminal: Effect.succeed(isTerminal), stderrIsTerminal: Effect.succeed(isTerminal) }),
    ]),
    Effect.forkChild,
  )
  return yield* Fiber.await(asking)
})

describe("whoever is asked what to do with a token that is good once", () => {
  for (const [keys, way] of [
    [["return"], "anew"],
    [["down", "return"], "adopt"],
    [["down", "down", "return"], "take"],
  ] as const) {
    it.effect(`says ${way} with ${keys.join(" and ")}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* answered(claude, keys), Exit.succeed(way))
        assert.match(String((yield* TestConsole.errorLines)[0]), /logs the other out/)
      }),
    )
  }

  it.effect("is not offered what the tool does not put up with", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* answered(qwen, ["down", "return"]), Exit.succeed("take"))
    }),
  )

  for (const [where, isTerminal, noInput] of [
    ["nobody can press a key", false, false],
    ["nobody is to be asked", true, true],
  ] as const) {
    it.effect(`is told what to type where ${where}, and nothing is changed`, () =>
      Effect.gen(function* () {
        const exit = yield* answered(claude, ["return"], isTerminal, noInput)
        const error = Option.getOrThrow(Exit.findErrorOption(exit))
        assert.strictEqual(error._tag, "UsageError")
        assert.include(
          error.message,
          "Nothing was changed. Log in anew with: tokenkeep login anthropic; or move the login",
        )
      }),
    )
  }

  it.effect("changes nothing by going away", () =>
    Effect.gen(function* () {
      const exit = yield* answered(claude, ["c"])
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))
    }),
  )
})
