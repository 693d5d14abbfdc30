/**
 * The ways in which `token` is asked for one, over a broker in this process.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, DateTime, Duration, Effect, Layer, Option, Redacted, Stdio, Terminal } from "effect"
import { Command } from "effect/cli"
import { TestClock, TestConsole } from "effect/testing"
import { Accounts } from "../../src/broker/Accounts.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import * as GlobalFlags from "../../src/cli/GlobalFlags.ts"
import { StoredLogins } from "../../src/cli/StoredLogins.ts"
import { token } from "../../src/cli/Token.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { ProviderNotConfigured, ReauthRequired, RefreshNotAvailable, TokenNotFound } from "../../src/domain/Errors.ts"
import type { PublicToken } from "../../src/domain/Token.ts"
import * as Keyboard from "../support/Keyboard.ts"

const account = Account.make("demo")

const tokenOf = (name: string): PublicToken => ({
  accessToken: Redacted.make(name),
  tokenType: "bearer",
  expiresAt: DateTime.makeUnsafe(1_900_000_000_000),
  scope: "a b",
  extras: { account_id: "x" },
})

const program = Command.make("tokenkeep").pipe(
  Command.withSubcommands([token]),
  Command.withGlobalFlags(GlobalFlags.all),
)

interface Asked {
  readonly isTerminal?: boolean
  readonly keys?: ReadonlyArray<string>
  readonly isRotating?: boolean
  readonly broker?: Partial<Broker["Service"]>
}

/** What is said on stdout, or else why nothing is; and what was asked of the broker. */
const said = Effect.fnUntraced(function* (args: ReadonlyArray<string>, asked: Asked = {}) {
  const { broker = {}, isRotating = false, isTerminal = false, keys = [] } = asked
  const calls: Array<string> = []
  const outcome = yield* Command.runWith(program, { version: "0" })(["token", "demo", ...args]).pipe(
    Effect.provide(
      Layer.mock(Broker, {
        getToken: (_, options = {}) => {
          const { minimumValidity } = options
          calls.push(minimumValidity === undefined ? "get" : `get ${Duration.toSeconds(minimumValidity)}`)
          return Effect.succeed(tokenOf("got"))
        },
        refreshToken: () => {
          calls.push("refresh")
          return Effect.succeed(tokenOf("refreshed"))
        },
        ...broker,
      }),
    ),
    Effect.provideService(StoredLogins, {
      kept: () => Effect.succeed(tokenOf("kept")),
      isRotating: () => Effect.succeed(isRotating),
      idToken: () => Effect.succeedNone,
    }),
    Effect.provideService(Terminal.Terminal, Keyboard.pressed(keys)),
    Effect.provide([
      NodeServices.layer,
      ConfigProvider.layer(ConfigProvider.fromUnknown({})),
      Stdio.layerTest({ stdinIsTerminal: Effect.succeed(isTerminal), stderrIsTerminal: Effect.succeed(isTerminal) }),
    ]),
    Effect.as(undefined),
    Effect.catch((error) => Effect.succeed(error.message)),
    Effect.catchCause((cause) => Effect.succeed(Cause.hasInterrupts(cause) ? "interrupted" : String(cause))),
  )
  return { stdout: (yield* TestConsole.logLines).join("\n"), error: outcome ?? "", calls }
})

describe("tokenkeep token", () => {
  for (const [args, stdout] of [
    [[], "got"],
    [["--format", "raw"], "got"],
    [["--format", "header"], "Authorization: Bearer got"],
    [["--format", "env"], "TOKENKEEP_TOKEN=got"],
    [["--env", "DEMO"], "DEMO=got"],
    [
      ["--format", "json"],
      '{"version":1,"account":"demo","access_token":"got","token_type":"Bearer","expiresAt":"2030-03-17T17:46:40Z","expiresAtEpochSeconds":1900000000,"scopes":["a","b"],"extras":{"account_id":"x"}}',
    ],
  ] as const) {
    it.effect(`says ${stdout.slice(0, 40)} with ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* said(args)).stdout, stdout)
        assert.deepStrictEqual(yield* TestConsole.errorLines, [])
      }),
    )
  }

  it.effect("says JSON with --json, too", () =>
    Effect.gen(function* () {
      assert.strictEqual(JSON.parse((yield* said(["--json"])).stdout).access_token, "got")
    }),
  )

  it.effect("asks for as long as was said", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* said(["--min-ttl", "10m"])).calls, ["get 600"])
    }),
  )

  it.effect("says so if what it got is not valid for that long", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_900_000_000_000 - 60 * 60_000)
      yield* said(["--min-ttl", "30m"])
      assert.deepStrictEqual(yield* TestConsole.errorLines, [])
      assert.strictEqual((yield* said(["--min-ttl", "2h"])).stdout, "got\ngot")
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "This token is valid for less than --min-ttl says: 60 min.",
      ])
    }),
  )

  it.effect("asks nobody with --no-refresh", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_900_000_000_000 - 60_000)
      const { calls, stdout } = yield* said(["--no-refresh"])
      assert.deepStrictEqual([calls, stdout], [[], "kept"])
      const longer = yield* said(["--no-refresh", "--min-ttl", "2m"])
      assert.include(longer.error, "was not to be refreshed")
      yield* TestClock.adjust("1 minute")
      assert.include((yield* said(["--no-refresh"])).error, "was not to be refreshed")
      assert.strictEqual((yield* said(["--no-refresh"])).stdout, "kept")
      assert.include((yield* said(["--no-refresh", "--force-refresh"])).error, "neither")
    }),
  )

  it.effect("asks first before a refresh uses a token up, and does nothing without an answer", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* said(["--force-refresh"])).calls, ["refresh"])
      const rotating = { isRotating: true }
      const unasked = yield* said(["--force-refresh"], rotating)
      assert.deepStrictEqual(unasked.calls, [])
      assert.include(unasked.error, "add --yes")
      assert.deepStrictEqual((yield* said(["--force-refresh", "--yes"], rotating)).calls, ["refresh"])
      const person = { isRotating: true, isTerminal: true }
      assert.deepStrictEqual((yield* said(["--force-refresh"], { ...person, keys: ["y", "return"] })).calls, [
        "refresh",
      ])
      for (const keys of [["return"], ["n", "return"], ["c"]]) {
        const refused = yield* said(["--force-refresh"], { ...person, keys })
        assert.deepStrictEqual([refused.calls, refused.error], [[], "interrupted"], keys.join())
      }
      const unattended = yield* said(["--force-refresh", "--no-input"], { ...person, keys: ["y", "return"] })
      assert.include(unattended.error, "add --yes")
    }),
  )

  it.effect("logs in with --login, where somebody can, and says nothing of it on stdout", () =>
    Effect.gen(function* () {
      for (const error of [
        TokenNotFound.make({ account }),
        ReauthRequired.make({ account }),
        RefreshNotAvailable.make({ account }),
      ]) {
        let isLoggedIn = false
        const broker: Partial<Broker["Service"]> = {
          getToken: () => (isLoggedIn ? Effect.succeed(tokenOf("new")) : Effect.fail(error)),
          initiate: () =>
            Effect.succeed({
              sessionId: "s",
              flowType: "browser_redirect",
              authUrl: "about:blank",
              device: Option.none(),
              pollInterval: Duration.seconds(1),
              notice: Option.none(),
              expiresIn: Duration.minutes(1),
            }),
          poll: () => {
            isLoggedIn = true
            return Effect.succeed({ status: "complete", token: tokenOf("new") })
          },
        }
        for (const [args, isTerminal] of [
          [[], true],
          [["--login"], false],
          [["--login", "--no-input"], true],
        ] as const) {
          const refused = yield* said(args, { broker, isTerminal })
          assert.strictEqual(refused.error, error.message)
          assert.isFalse(isLoggedIn)
        }
        const before = (yield* TestConsole.logLines).length
        const answer = yield* said(["--login", "--json"], { broker, isTerminal: true })
        assert.strictEqual(answer.error, "")
        const lines = (yield* TestConsole.logLines).slice(before)
        assert.strictEqual(lines.length, 1)
        assert.strictEqual(JSON.parse(String(lines[0])).access_token, "new")
      }
    }),
  )

  it.effect("says once why a login that it began has failed", () =>
    Effect.gen(function* () {
      const error = ProviderNotConfigured.make({ provider: "demo", missing: ["clientId"] })
      const broker: Partial<Broker["Service"]> = {
        getToken: () => Effect.fail(TokenNotFound.make({ account })),
        initiate: () => Effect.fail(error),
      }
      for (const [args, times] of [
        [["--login"], [0, 1]],
        [
          ["--login", "--json"],
          [1, 0],
        ],
      ] as const) {
        const before = [(yield* TestConsole.logLines).length, (yield* TestConsole.errorLines).length]
        yield* said(args, { broker, isTerminal: true })
        const after = [yield* TestConsole.logLines, yield* TestConsole.errorLines]
        assert.deepStrictEqual(
          after.map(
            (lines, at) => lines.slice(before[at]).filter((line) => String(line).includes(error.message)).length,
          ),
          [...times],
          args.join(" "),
        )
      }
    }),
  )

  it.effect("prints nothing of a token that cannot be said", () =>
    Effect.gen(function* () {
      const broker = { getToken: () => Effect.succeed(tokenOf("a\r\nX-Evil: b")) }
      for (const format of ["raw", "header", "env", "json"]) {
        const { error, stdout } = yield* said(["--format", format], { broker })
        assert.strictEqual(stdout, "")
        assert.include(error, "Nothing was handed out")
        assert.notInclude(error, "Evil")
      }
    }),
  )
})

const jwtOf = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`

describe("what only the host knows", () => {
  it.effect("is the token as it is kept, how its refresh token is, and its ID token while that is good", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const stored = yield* StoredLogins
      assert.strictEqual((yield* Effect.flip(stored.kept(account)))._tag, "TokenNotFound")
      assert.isFalse(yield* stored.isRotating(account))
      const idToken = jwtOf({ exp: 100 })
      const record = AccountRecord.fromLogin(
        {
          accessToken: Redacted.make("kept"),
          refreshToken: Redacted.make("r"),
          tokenType: "bearer",
          extras: Redacted.make({ id_token: idToken, secret: 1 }),
        },
        yield* DateTime.now,
      )
      const keep = (changed: Partial<AccountRecord.AccountRecord>) =>
        accounts.update(account, () => Effect.succeed({ ...record, ...changed }))
      yield* keep({ history: { ...record.history, rotation: "observed" } })
      const kept = yield* stored.kept(account)
      assert.deepStrictEqual([Redacted.value(kept.accessToken), kept.extras], ["kept", {}])
      assert.isTrue(yield* stored.isRotating(account))
      assert.deepStrictEqual(Option.map(yield* stored.idToken(account), Redacted.value), Option.some(idToken))
      yield* TestClock.setTime(100_000)
      assert.deepStrictEqual(yield* stored.idToken(account), Option.none())
    }).pipe(
      Effect.provide(
        StoredLogins.layerHost.pipe(
          Layer.provideMerge(BrokerHost.layerMemory([])),
          Layer.provide(BrokerConfig.layer("/nowhere")),
        ),
      ),
    ),
  )
})
