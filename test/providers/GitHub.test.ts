import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, Redacted } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"
import { byDevice, configured, layer, noting, pathsOf, refusedRefresh } from "../support/emulators/Configured.ts"
import type { Emulator } from "../support/emulators/Emulator.ts"
import * as GitHub from "../support/emulators/GitHub.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("github")
const tokenPath = "/login/oauth/access_token"

const at = <A, E>(
  work: (emulator: Emulator, seconds: ReadonlyArray<number>) => Effect.Effect<A, E, Broker>,
  { said = {}, ...options }: GitHub.Options & { readonly said?: object } = {},
) =>
  Effect.gen(function* () {
    const emulator = yield* GitHub.github(options)
    const provider = configured("github", { endpoints: emulator.endpoints, clientId: GitHub.clientId, ...said })
    const { fetch, seconds } = yield* noting(emulator.fetch, tokenPath)
    return yield* Effect.provide(work(emulator, seconds), layer(provider, fetch))
  })

describe("GitHub", () => {
  it.live("is where its emulator is, but for the host", () =>
    Effect.gen(function* () {
      const { authorization: _, ...endpoints } = (yield* GitHub.github()).endpoints
      assert.deepStrictEqual(pathsOf(configured("github", { clientId: "mine" }).endpoints), pathsOf(endpoints))
    }),
  )

  it("is not complete without the client id of one's own app", () => {
    assert.deepStrictEqual(resolve("github", undefined, builtIn), { _tag: "Incomplete", missing: ["clientId"] })
  })

  it("is GitHub Enterprise with other endpoints", () => {
    const endpoints = {
      token: "https://ghe.example/login/oauth/access_token",
      deviceAuthorization: "https://ghe.example/login/device/code",
    }
    const said = { extends: "github", clientId: "mine", endpoints, api: { baseUrl: "https://ghe.example/api/v3" } }
    const provider = configured("work", said)
    assert.deepInclude(provider.endpoints, endpoints)
    assert.deepStrictEqual(provider.headers, { accept: "application/json" })
    assert.strictEqual(provider.api?.baseUrl, "https://ghe.example/api/v3")
  })

  it.live("logs in over a socket, and keeps a token that does not expire", () =>
    Effect.gen(function* () {
      const emulator = yield* GitHub.github({ interval: 1 })
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        emulator.grant(Option.getOrThrow(login.device).userCode)
        const done = yield* broker
          .poll(login.sessionId)
          .pipe(Effect.delay("1100 millis"), Effect.repeat({ until: ({ status }) => status === "complete", times: 3 }))
        assert.strictEqual(done.status, "complete")
        assert.isUndefined((yield* broker.getToken(account)).expiresAt)
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "RefreshNotAvailable")
        assert.strictEqual(yield* broker.removeToken(account), "not_offered")
      }).pipe(Effect.provide(layer(configured("github", { endpoints: emulator.endpoints, clientId: GitHub.clientId }))))
    }),
  )

  it.effect("polls at its pace, and slower once it says so", () =>
    at((emulator, seconds) =>
      Effect.gen(function* () {
        const slower = (interval?: number) => GitHub.refusal("slow_down", interval === undefined ? {} : { interval })
        let userCode = ""
        const decide = (shown: string) => {
          userCode = shown
          emulator.says(GitHub.refusal("authorization_pending"), slower(12), slower(), slower(17))
        }
        assert.strictEqual((yield* byDevice(account, decide, 84)).status, "pending")
        // 5 s; then 12 s as it says; then 5 s more; then 5 s more again, which is more than it says.
        assert.deepStrictEqual(seconds, [5, 10, 22, 39, 61, 83])
        emulator.grant(userCode)
      }),
    ),
  )

  it.effect("understands its refusals, which have status 200", () =>
    at((emulator) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(byDevice(account, emulator.deny)), "AccessDenied")
        assert.strictEqual(yield* tagOf(byDevice(account, emulator.expire)), "SessionExpired")
        const other = yield* Effect.flip(
          byDevice(account, () => emulator.says(GitHub.refusal("incorrect_device_code"))),
        )
        assert.strictEqual(other._tag, "PollFailed")
        assert.include(other.message, "incorrect_device_code")
      }),
    ),
  )

  it.effect("says that it does not know the app, or that the app may not", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          const unknown = yield* Effect.flip(broker.initiate(account))
          assert.strictEqual(unknown._tag, "FlowInitiationFailed")
          assert.include(unknown.message, "404")
          emulator.says({ status: 400, body: { error: "device_flow_disabled" } })
          assert.include((yield* Effect.flip(broker.initiate(account))).message, "device_flow_disabled")
        }),
      { said: { clientId: "Ov23liNobody" } },
    ),
  )

  it.effect("refreshes tokens of an app that lets them expire, with numbers that are texts", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* byDevice(account, emulator.grant)
          const first = yield* broker.getToken(account)
          assert.strictEqual(DateTime.toEpochMillis(first.expiresAt ?? DateTime.makeUnsafe(0)), (5 + 28_800) * 1000)
          assert.deepStrictEqual(first.extras, {})
          const second = yield* broker.refreshToken(account)
          assert.notStrictEqual(Redacted.value(second.accessToken), Redacted.value(first.accessToken))
          emulator.says({ status: 503, body: "" }, { status: 503, body: "" }, { status: 503, body: "" })
          assert.include((yield* refusedRefresh(account)).message, "trouble of its own")
          yield* broker.refreshToken(account)
          emulator.says(GitHub.refusal("bad_refresh_token"))
          assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
        }),
      { expiring: true },
    ),
  )

  it.effect("is understood although it answers with forms", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          assert.strictEqual(yield* tagOf(byDevice(account, emulator.deny)), "AccessDenied")
          assert.strictEqual((yield* byDevice(account, emulator.grant)).status, "complete")
          yield* broker.refreshToken(account)
        }),
      { expiring: true, said: { headers: { accept: "*/*" } } },
    ),
  )
})
