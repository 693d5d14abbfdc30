/**
 * `tokenkeep status` in this process, over logins that are as a test says, on a terminal that it says.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Option, Sink, Stdio } from "effect"
import { Command } from "effect/cli"
import { NodeServices } from "@effect/platform-node"
import { TestClock, TestConsole } from "effect/testing"
import stringWidth from "string-width"
import { ExitStatus } from "../../src/cli/ExitCode.ts"
import { Json } from "../../src/cli/GlobalFlags.ts"
import { GrantHolders } from "../../src/cli/status/GrantHolders.ts"
import { type AccountState, LoginStatus } from "../../src/cli/status/LoginStatus.ts"
import { ProgramName } from "../../src/cli/ProgramName.ts"
import { Columns } from "../../src/cli/Screen.ts"
import { status } from "../../src/cli/Status.ts"
import { Window } from "../../src/cli/status/Window.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { loginCommand } from "../../src/domain/LoginCommand.ts"
import { snapshot } from "../../src/domain/Token.ts"
import type { GrantEntry } from "../../src/server/Grants.ts"
import { termsOf } from "../support/Granting.ts"
import { seconds, tokenOf } from "../support/Records.ts"

/** A login as the store would have it, at the time 0. */
const login = (name: string, bucket: string, change: Partial<AccountState> & { readonly scope?: string } = {}) => {
  const { scope = "openid offline_access", ...rest } = change
  const account = Account.make(name, bucket)
  const state: AccountState = {
    account,
    state: "ok",
    problem: Option.none(),
    snapshot: Option.some(snapshot({ ...tokenOf(name), expiresAt: seconds(3180), scope })),
    refresh: Option.some({
      rotation: "observed",
      last: Option.some({ at: seconds(-720), outcome: "refreshed" }),
      nextRenewal: Option.some(seconds(2820)),
      backOffUntil: Option.none(),
      unanswered: Option.none(),
    }),
    details: {},
    needsAttention: false,
    next: Option.none(),
    ...rest,
  }
  return state
}

const dead = (name: string, bucket: string) => {
  const command = loginCommand(Account.make(name, bucket))
  return login(name, bucket, {
    state: "reauth_required",
    problem: Option.some(`The provider wants a new login for ${name}. Log in again with: ${command}`),
    needsAttention: true,
    next: Option.some(command),
  })
}

const grantOf = (label: string, accounts: ReadonlyArray<string>): GrantEntry => ({
  grant: {
    id: "0123abcd",
    transport: "unix",
    isKept: false,
    createdAt: seconds(0),
    ...termsOf({ label, accounts, expiresAt: seconds(3600) }),
  },
  hasCapability: true,
  address: "/nowhere",
})

interface Options {
  readonly args?: ReadonlyArray<string>
  readonly json?: boolean
  readonly isTerminal?: boolean
  readonly width?: number | (() => number)
  readonly variables?: { readonly [name: string]: string }
  readonly grants?: ReadonlyArray<GrantEntry>
  readonly program?: string
  readonly isFree?: boolean
  readonly resized?: Effect.Effect<void>
  readonly closed?: Effect.Effect<void>
  readonly rows?: () => number
}

/** Runs it over these logins, which are looked up each time; and tells what it wrote past the console, and ended with. */
const run = (logins: () => ReadonlyArray<AccountState>, options: Options = {}) => {
  const { args = [], isFree = true, isTerminal = true, json = false, rows = () => 24, width = 80 } = options
  const written: Array<string> = []
  let code = 0
  const stdio = Layer.effect(
    Stdio.Stdio,
    Effect.map(Stdio.Stdio, (real) =>
      Stdio.make({
        ...real,
        stdoutIsTerminal: Effect.succeed(isTerminal),
        stderrIsTerminal: Effect.succeed(isTerminal),
        stdout: () => Sink.forEach((text) => Effect.sync(() => void written.push(String(text)))),
      }),
    ),
  )
  const command = Command.runWith(status, { version: "0" })(args).pipe(
    Effect.provideService(Json, json),
    Effect.provideService(LoginStatus, LoginStatus.of({ list: Effect.sync(logins), isFree })),
    Effect.provideService(GrantHolders, Effect.succeed(Option.fromUndefinedOr(options.grants))),
    Effect.provideService(ProgramName, options.program ?? "tokenkeep"),
    Effect.provideService(Columns, () => (typeof width === "number" ? width : width())),
    Effect.provideService(ExitStatus, (told) => {
      code = told
    }),
    Effect.provideService(Window, {
      rows,
      resized: options.resized ?? Effect.never,
      closed: options.closed ?? Effect.never,
    }),
    Effect.provide(
      stdio.pipe(
        Layer.provideMerge(NodeServices.layer),
        Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({ LANG: "C.UTF-8", ...options.variables }))),
      ),
    ),
  )
  return { command, written, code: () => code }
}

const said = Effect.map(TestConsole.logLines, (lines) => lines.map(String).join("\n").split("\n"))
const advised = Effect.map(TestConsole.errorLines, (lines) => lines.map(String).join("\n"))
const colours = new RegExp(String.raw`\u001B\[\d+m`, "g")

describe("tokenkeep status", () => {
  it.effect("says at a glance how each login is, when it ends and is renewed, and who has it", () =>
    Effect.gen(function* () {
      const { code, command } = run(() => [login("github", "work"), login("demo", "default")], {
        width: 200,
        grants: [grantOf("agents", ["github:*"]), grantOf("ci", ["github:work", "nobody"])],
        variables: { NO_COLOR: "1" },
      })
      yield* command
      assert.deepStrictEqual(yield* said, [
        "ACCOUNT      STATE  EXPIRES    RENEWS     SCOPES                 LAST REFRESH  GRANTED TO",
        "github:work  ok     in 53 min  in 47 min  openid offline_access  12 min ago    agents, ci",
        "demo         ok     in 53 min  in 47 min  openid offline_access  12 min ago    -",
      ])
      assert.deepStrictEqual([yield* advised, code()], ["", 0])
    }),
  )

  it.effect("says of what needs somebody what to type, in the words of the program, and ends with 1", () =>
    Effect.gen(function* () {
      const { code, command } = run(() => [login("github", "work"), dead("demo", "it's")], {
        program: "acme auth",
        variables: { NO_COLOR: "1" },
      })
      yield* command
      assert.include((yield* said).join("\n"), "demo:it's    reauth_required")
      assert.strictEqual(
        yield* advised,
        [
          "",
          "1 of 2 logins needs you:",
          "  demo:it's",
          "    The provider wants a new login for demo.",
          String.raw`    → acme auth login 'demo:it'\''s'`,
        ].join("\n"),
      )
      assert.strictEqual(code(), 1)
    }),
  )

  it.effect("says the same to programs, with grants only where somebody can tell", () =>
    Effect.gen(function* () {
      const logins = () => [login("github", "work"), dead("demo", "default")]
      const alone = run(logins, { json: true })
      yield* alone.command
      yield* run(logins, { json: true, grants: [grantOf("agents", ["github:*"])] }).command
      const [one, two] = (yield* said).map((line): unknown => JSON.parse(line))
      assert.containSubset(one, {
        version: 1,
        accounts: [
          {
            state: "ok",
            needsAttention: false,
            expiresAt: "1970-01-01T00:53:00.000Z",
            expiresAtEpochSeconds: 3180,
            nextRenewalAtEpochSeconds: 2820,
          },
          { state: "reauth_required", needsAttention: true, next: "tokenkeep login demo" },
        ],
      })
      assert.notInclude(JSON.stringify(one), "grants")
      assert.containSubset(two, {
        accounts: [{ grants: [{ label: "agents", expiresAtEpochSeconds: 3600 }] }, { grants: [] }],
      })
      assert.strictEqual(alone.code(), 1)
    }),
  )

  it.effect("fits 60, 80 and 200 columns, whatever a provider calls its scopes", () =>
    Effect.gen(function* () {
      const hostile = "\u001B[2J\u001B]8;;https://evil\u0007\u009B31mx\u202Eabc\u200B 日本 " + "s".repeat(10_000)
      const many = () => [
        login("github", "work", { scope: hostile, details: { plan: "日本".repeat(40) } }),
        login("https://mcp.example/a/long/path/to/it", "work"),
        ...Array.from({ length: 38 }, (_, i) => dead("corp", `team-${i}`)),
      ]
      for (const width of [60, 80, 200]) {
        for (const variables of [{ NO_COLOR: "1" }, {}] as const) {
          const { command } = run(many, { width, variables, grants: [grantOf("agents".repeat(15), ["*"])] })
          const before = (yield* said).length
          yield* command
          const lines = (yield* said).slice(before)
          const plain = lines.map((line) => line.replaceAll(colours, ""))
          for (const line of plain) {
            assert.isAtMost(stringWidth(line), width, line)
            assert.notMatch(line, /[\p{Cc}\p{Cf}]/u)
          }
          assert.strictEqual(lines.join() === plain.join(), "NO_COLOR" in variables)
          assert.strictEqual(plain.filter((line) => /^corp:team-\d+ +reauth_required/.test(line)).length, 38)
          if (width === 200)
            assert.match(plain[0] ?? "", /^ACCOUNT +STATE +EXPIRES +RENEWS +SCOPES +LAST REFRESH +GRANTED TO/)
        }
      }
      yield* run(many, { json: true }).command
      const json = (yield* said).at(-1) ?? ""
      assert.match(json, /^[ -~]+$/)
      assert.deepInclude(JSON.parse(json).accounts[0].scopes, "s".repeat(10_000))
    }),
  )
})

const enter = "\u001B[?1049h"
const leave = "\u001B[?1049l"

describe("tokenkeep status --watch", () => {
  const args = ["--watch"]

  it.effect(
    "draws anew every two seconds, and at once in a window of another size; then leaves the screen as it was",
    () =>
      Effect.gen(function* () {
        let width = 80
        let resize: () => void = () => {}
        const resized = Effect.callback<void>((resume) => {
          resize = () => resume(Effect.void)
        })
        const { command, written } = run(() => [login("github", "work")], { args, width: () => width, resized })
        const fiber = yield* Effect.forkChild(command)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(written.length, 2)
        assert.isTrue(written[0]?.startsWith(enter))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(written.length, 4)
        assert.include(written[1], "00:00:00 UTC")
        assert.include(written[3], "00:00:04 UTC")
        width = 30
        resize()
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(written.length, 5)
        assert.notInclude(written[4], "LAST REFRESH")
        yield* Fiber.interrupt(fiber)
        const end = written[5] ?? ""
        assert.isTrue(end.startsWith(`\u001B[?25h${leave}`))
        assert.include(end, "github:work")
      }),
  )

  it.effect("keeps within the rows that there are, with what needs somebody first", () =>
    Effect.gen(function* () {
      const many = () => [...Array.from({ length: 40 }, (_, i) => login("corp", `team-${i}`)), dead("demo", "default")]
      const { command, written } = run(many, { args, rows: () => 12 })
      const fiber = yield* Effect.forkChild(command)
      yield* TestClock.adjust("1 seconds")
      const lines = (written[1] ?? "").split("\n")
      assert.isAtMost(lines.length, 12)
      assert.include(lines[3], "demo")
      assert.match(lines.at(-2) ?? "", /and \d+ more lines/)
      yield* Fiber.interrupt(fiber)
    }),
  )

  it.effect("writes a line for programs whenever something has changed, and ends when nobody reads", () =>
    Effect.gen(function* () {
      let logins = [login("github", "work")]
      let close: () => void = () => {}
      const closed = Effect.callback<void>((resume) => {
        close = () => resume(Effect.void)
      })
      const { command } = run(() => logins, { args, json: true, isTerminal: false, closed })
      const fiber = yield* Effect.forkChild(command)
      yield* TestClock.adjust("9 seconds")
      logins = [dead("github", "work")]
      yield* TestClock.adjust("9 seconds")
      const lines = (yield* said).map((line): unknown => JSON.parse(line))
      assert.strictEqual(lines.length, 2)
      assert.containSubset(lines[1], { atEpochSeconds: 10, accounts: [{ state: "reauth_required" }] })
      close()
      yield* Fiber.join(fiber)
    }),
  )

  it.effect("is refused where nothing can be drawn, and where each look would take tokens", () =>
    Effect.gen(function* () {
      const refusals = [
        { isTerminal: false },
        { variables: { TERM: "dumb" } },
        { isFree: false },
        { isFree: false, json: true },
      ]
      for (const options of refusals) {
        const error = yield* Effect.flip(run(() => [], { args, ...options }).command)
        assert.strictEqual(error._tag, "UsageError")
      }
    }),
  )
})
