import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, FileSystem, Layer, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { VendorRequest } from "../../src/oauth/Dialect.ts"
import { dialect } from "../../src/providers/Codex.ts"
import * as Codex from "../support/emulators/Codex.ts"
import { byDevice, configured, layer, noting, pathsOf, refusedRefresh } from "../support/emulators/Configured.ts"
import type { Emulator } from "../support/emulators/Emulator.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("codex")
const pollPath = "/api/accounts/deviceauth/token"

/** As a person would point it elsewhere; a free port in place of the two registered ones. */
const said = ({ endpoints, origin }: Emulator) => ({
  endpoints: { ...endpoints, devicePoll: `${origin}${pollPath}` },
  redirectUris: ["http://localhost/auth/callback"],
  device: { redirectUri: `${origin}/deviceauth/callback`, verificationUri: `${origin}/codex/device`, lifetime: 23 },
})

/** In process, with a clock that stands still. */
const inProcess = <A, E>(
  work: (emulator: Emulator, seconds: ReadonlyArray<number>) => Effect.Effect<A, E, Broker>,
  options: Partial<Codex.Options> = {},
) =>
  Effect.gen(function* () {
    const emulator = yield* Codex.codex({ now: () => 0, ...options })
    const { fetch, seconds } = yield* noting(emulator.fetch, pollPath)
    return yield* Effect.provide(work(emulator, seconds), layer(configured("codex", said(emulator)), fetch))
  })

describe("Codex", () => {
  it.live("is where its emulator is, but for the host", () =>
    Effect.gen(function* () {
      const there = said(yield* Codex.codex({ now: () => 0 }))
      const here = configured("codex", {})
      assert.deepStrictEqual(pathsOf(here.endpoints), pathsOf(there.endpoints))
      const { redirectUri, verificationUri } = there.device
      assert.deepStrictEqual(
        pathsOf({ redirectUri: here.device?.redirectUri, verificationUri: here.device?.verificationUri }),
        pathsOf({ redirectUri, verificationUri }),
      )
    }),
  )

  it("is sent back to the two ports that are registered, under the name that is", () => {
    assert.deepStrictEqual(configured("codex", {}).redirectUris, [
      "http://localhost:1455/auth/callback",
      "http://localhost:1457/auth/callback",
    ])
  })

  it.live("is pointed elsewhere in a configuration file, and keeps its login in another", () =>
    Effect.gen(function* () {
      const emulator = yield* Codex.codex({ now: () => 4e9 })
      const home = yield* TemporaryHome.make
      const host = BrokerHost.layer.pipe(
        Layer.provide(Layer.succeed(FetchHttpClient.Fetch, emulator.fetch)),
        Layer.provideMerge(BrokerConfig.layer(home)),
        Layer.provideMerge(NodeServices.layer),
      )
      yield* Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { configFile } = yield* BrokerConfig
        const { redirectUris: _, ...elsewhere } = said(emulator)
        yield* fs.writeFileString(configFile, JSON.stringify({ providers: { codex: elsewhere } }))
        const broker = yield* Broker
        const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
        yield* broker.exchange(login.sessionId, Redacted.make(emulator.visit(login.authUrl)))
        const token = yield* broker.getToken(account)
        assert.deepStrictEqual(token.extras, { account_id: Codex.accountId })
        const kept = yield* fs.readFileString(`${home}/accounts/codex/default.json`)
        assert.include(kept, emulator.endpoints.token)
      }).pipe(Effect.provide(host))
    }),
  )

  it.live("logs in with a browser, knows the account and the expiry, refreshes, and is revoked", () =>
    Effect.gen(function* () {
      const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const emulator = yield* Codex.codex({ now: () => now, fedramp: true })
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        assert.strictEqual(login.flowType, "browser_redirect")
        const query = new URL(login.authUrl).searchParams
        assert.strictEqual(query.get("originator"), "tokenkeep")
        yield* Effect.promise(() => fetch(emulator.visit(login.authUrl)))
        assert.strictEqual((yield* broker.poll(login.sessionId)).status, "complete")
        const token = yield* broker.getToken(account)
        assert.deepStrictEqual(token.extras, { account_id: Codex.accountId, account_is_fedramp: "true" })
        const expiresAt = DateTime.toEpochMillis(token.expiresAt ?? DateTime.makeUnsafe(0)) / 1000
        assert.approximately(expiresAt, now + Codex.tenDays, 30)
        yield* broker.refreshToken(account)
        const [exchange, refresh] = emulator.requests.filter(({ path }) => path === "/oauth/token")
        assert.notProperty(exchange?.form, "state")
        assert.deepStrictEqual(Object.keys(refresh?.json ?? {}).toSorted(), [
          "client_id",
          "grant_type",
          "refresh_token",
        ])

        assert.strictEqual(yield* broker.removeToken(account), "revoked")
        const revoked = emulator.requests.filter(({ path }) => path === "/oauth/revoke").map(({ json = {} }) => json)
        assert.deepStrictEqual(
          revoked.map(({ client_id, token_type_hint }) => [token_type_hint, client_id]),
          [
            ["refresh_token", Codex.clientId],
            ["access_token", undefined],
          ],
        )
        assert.isFalse(emulator.isGood(revoked[0]?.["token"] ?? ""))
      }).pipe(Effect.provide(layer(configured("codex", said(emulator)))))
    }),
  )

  it.live("takes the address of the page that could not be shown", () =>
    Effect.gen(function* () {
      const emulator = yield* Codex.codex({ now: () => 0 })
      const { redirectUris: _, ...elsewhere } = said(emulator)
      const provider = configured("codex", elsewhere)
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const address = emulator.visit(login.authUrl)
        assert.isTrue(address.startsWith("http://localhost:1455/auth/callback?"))
        yield* broker.exchange(login.sessionId, Redacted.make(address))
        const no = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const denied = Redacted.make(emulator.visit(no.authUrl, "deny"))
        assert.strictEqual(yield* tagOf(broker.exchange(no.sessionId, denied)), "AccessDenied")
      }).pipe(Effect.provide(layer(provider, emulator.fetch)))
    }),
  )

  for (const options of [
    {},
    { pending: 404, interval: "2", userCodeField: "usercode" },
    { place: "text", interval: "" },
  ] as const) {
    it.effect(`waits for a device code that is answered like ${JSON.stringify(options)}`, () =>
      inProcess(
        (emulator, seconds) =>
          Effect.gen(function* () {
            const broker = yield* Broker
            const pace = "interval" in options && options.interval === "2" ? 2 : 5
            const waiting = yield* byDevice(account, () => undefined, 2 * pace + 1)
            assert.deepStrictEqual(waiting.status, "pending")
            assert.deepStrictEqual(seconds, [pace, 2 * pace])
            const done = yield* byDevice(account, emulator.grant, pace + 1)
            assert.strictEqual(done.status, "complete")
            assert.strictEqual((yield* broker.getToken(account)).extras["account_id"], Codex.accountId)
            const exchange = emulator.requests.find(({ path }) => path === "/oauth/token")
            assert.strictEqual(exchange?.form?.["redirect_uri"], `${emulator.origin}/deviceauth/callback`)
          }),
        options,
      ),
    )
  }

  it.effect("ends with a device code that nobody entered in time", () =>
    inProcess((_, seconds) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(byDevice(account, () => undefined, 24)), "SessionExpired")
        assert.deepStrictEqual(seconds, [5, 10, 15, 20])
      }),
    ),
  )

  it.live("says that device codes are not enabled, and goes on to a flow that is", () =>
    Effect.gen(function* () {
      const emulator = yield* Codex.codex({ now: () => 0, deviceCodes: false })
      const provider = configured("codex", { ...said(emulator), flows: ["device_code", "browser_redirect"] })
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        assert.strictEqual((yield* broker.initiate(account)).flowType, "browser_redirect")
        const error = yield* Effect.flip(broker.initiate(account, { flow: "device_code" }))
        assert.strictEqual(error._tag, "FlowInitiationFailed")
        assert.include(error.message, "refused")
      }).pipe(Effect.provide(layer(provider, emulator.fetch)))
    }),
  )

  for (const place of ["nested", "text", "beside"] as const) {
    it.effect(`wants a new login for each of its three codes, said ${place}, whatever the status`, () =>
      inProcess((emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          for (const code of ["refresh_token_expired", "refresh_token_reused", "REFRESH_TOKEN_INVALIDATED"]) {
            yield* byDevice(account, emulator.grant)
            emulator.says(Codex.refusal(400, code, place))
            assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired", code)
          }
        }),
      ),
    )
  }

  it.effect("wants a new login for any 401 at a refresh, and for nothing else", () =>
    inProcess((emulator) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        yield* byDevice(account, emulator.grant)
        const kept = [
          [Codex.refusal(400, "invalid_request", "nested"), "refused the request"],
          [{ status: 403, body: "" }, "refused the request"],
          [{ status: 404, body: "" }, "nothing at the configured address"],
          [{ status: 503, body: "" }, "trouble of its own"],
        ] as const
        for (const [reply, words] of kept) {
          emulator.says(...Array.from({ length: reply.status === 503 ? 3 : 1 }, () => reply))
          const error = yield* refusedRefresh(account)
          assert.strictEqual(error._tag, "RefreshFailed")
          assert.include(error.message, words)
        }
        yield* broker.refreshToken(account)
        emulator.says({ status: 401, body: "" })
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
        yield* byDevice(account, emulator.grant)
        emulator.says({ status: 429, body: "", headers: { "retry-after": "40" } })
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "RefreshRateLimited")
      }),
    ),
  )

  it.effect("keeps refresh token and account when a refresh brings neither", () =>
    inProcess(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* byDevice(account, emulator.grant)
          yield* broker.refreshToken(account)
          const token = yield* broker.refreshToken(account)
          assert.strictEqual(token.extras["account_id"], Codex.accountId)
          const shown = emulator.requests.flatMap(({ json }) => json?.["refresh_token"] ?? [])
          assert.lengthOf(shown, 2)
          assert.strictEqual(shown[0], shown[1])
        }),
      { rotates: false },
    ),
  )

  const post: VendorRequest = {
    call: "refresh",
    method: "POST",
    url: "",
    headers: {},
    encoding: "json",
    parameters: {},
  }
  const accountOf = (body: object) => {
    const { dialect: known, ...record } = configured("codex", {})
    assert.strictEqual(known, dialect)
    const answer = dialect.answer?.({ status: 200, headers: {}, body: { ...body } }, post, record)
    return answer !== undefined && "body" in answer ? answer.body["account_id"] : undefined
  }
  const nested = (claims: object) => Codex.jwt({ "https://api.openai.com/auth": claims })

  it("looks for the account where programs have found it, first where the CLI does", () => {
    const all = {
      chatgpt_account_id: "root",
      account_id: "plain",
      organizations: [{ id: "org" }],
      sub: "nobody",
      "https://api.openai.com/auth": { chatgpt_account_id: "cli", account_id: "other" },
    }
    assert.strictEqual(
      accountOf({ id_token: Codex.jwt(all), access_token: nested({ chatgpt_account_id: "a" }) }),
      "cli",
    )
    assert.strictEqual(accountOf({ id_token: nested({}), access_token: nested({ chatgpt_account_id: "a" }) }), "a")
    assert.strictEqual(accountOf({ id_token: Codex.jwt({ organizations: [{ id: "org" }] }) }), "org")
    assert.strictEqual(
      accountOf({
        id_token: Codex.jwt({ organizations: [{ id: "org" }] }),
        access_token: Codex.jwt({ account_id: "plain" }),
      }),
      "plain",
    )
    for (const body of [{ id_token: Codex.jwt({ sub: "nobody" }) }, { access_token: "opaque" }, { id_token: 7 }, {}]) {
      assert.isUndefined(accountOf(body))
    }
  })

  it.effect.prop(
    "has whatever a device code is made of come back in a poll",
    [Schema.NonEmptyString, Schema.NonEmptyString],
    ([id, code]) =>
      Effect.sync(() => {
        const record = configured("codex", {})
        const body = { device_auth_id: id, user_code: code }
        const answer = dialect.answer?.({ status: 200, headers: {}, body }, { ...post, call: "device" }, record)
        const device_code = answer !== undefined && "body" in answer ? String(answer.body["device_code"]) : ""
        const poll = dialect.request?.({ ...post, call: "poll", parameters: { device_code, client_id: "c" } }, record)
        assert.deepStrictEqual(poll?.parameters, { device_auth_id: id.toWellFormed(), user_code: code.toWellFormed() })
      }),
  )
})
