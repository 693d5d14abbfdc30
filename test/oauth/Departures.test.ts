/**
 * Each way in which a provider's record, or its dialect, may depart from the RFCs.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import type { Dialect } from "../../src/oauth/Dialect.ts"
import * as ErrorMeaning from "../../src/oauth/ErrorMeaning.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import type { Provider } from "../../src/oauth/Provider.ts"
import { ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { version } from "../../src/version.ts"
import { tagOf } from "../support/tagOf.ts"

const at = "https://id.example"

const providerOf = (record: Partial<typeof ProviderRecord.Encoded>, dialect: Dialect = {}): Provider => ({
  ...Schema.decodeSync(ProviderRecord)({
    endpoints: {
      authorization: `${at}/authorize`,
      token: `${at}/token`,
      deviceAuthorization: `${at}/device`,
      revocation: `${at}/revoke`,
    },
    clientId: "client",
    scopes: ["read"],
    flows: ["device_code"],
    ...record,
  }),
  name: "example",
  secret: Option.none(),
  dialect,
})

interface Sent {
  readonly path: string
  readonly method: string
  readonly headers: Headers
  readonly body: string
}

/** A client, and what it sends; each request is answered by the next answer, the last one again and again. */
const clientAnswering = Effect.fnUntraced(function* (...answers: ReadonlyArray<() => Response>) {
  const sent: Array<Sent> = []
  const fetch: typeof globalThis.fetch = (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { body } = init
    sent.push({
      path: url.pathname,
      method: init.method ?? "GET",
      headers: new Headers(init.headers),
      body: body instanceof URLSearchParams || typeof body === "string" ? body.toString() : "",
    })
    const answer = answers[Math.min(sent.length, answers.length) - 1] ?? (() => Response.json({}))
    return Promise.resolve(answer())
  }
  const context = yield* Layer.build(
    Layer.fresh(OAuthClient.layer).pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch))),
  )
  const client = yield* Effect.provideContext(OAuthClient, context)
  return { client, sent }
})

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  () =>
    Response.json(body, { status, headers })
const token = json({ access_token: "a", refresh_token: "r", expires_in: 60 })
const code = json({ device_code: "d", user_code: "U", verification_uri: `${at}/enter`, expires_in: 600, interval: 5 })

const refresh = (client: OAuthClient["Service"], provider: Provider) =>
  Effect.flatMap(client.beginRefresh(provider), (grant) => grant.redeem(Redacted.make("r0")))

const redeem = Effect.fnUntraced(function* (client: OAuthClient["Service"], provider: Provider) {
  const grant = yield* client.beginCode(provider, "http://127.0.0.1/callback")
  const state = Redacted.value(grant.state)
  return { grant, state, token: yield* grant.redeem(new URLSearchParams({ code: "c", state })) }
})

const form = (text = "") => Object.fromEntries(new URLSearchParams(text))

describe("a request", () => {
  it.effect("says who we are, and what the record adds", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(token)
      yield* refresh(client, providerOf({}))
      yield* refresh(client, providerOf({ headers: { "X-Api": "7", Accept: "application/json;v=2" } }))
      assert.strictEqual(sent[0]?.headers.get("user-agent"), `tokenkeep/${version}`)
      assert.strictEqual(sent[1]?.headers.get("x-api"), "7")
      assert.strictEqual(sent[1]?.headers.get("accept"), "application/json;v=2")
    }).pipe(Effect.scoped),
  )

  it.effect("is a form, or JSON where the record says so, of each call by itself", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(token)
      const provider = providerOf({ bodies: { exchange: "json" } })
      yield* refresh(client, provider)
      yield* redeem(client, provider)
      assert.deepStrictEqual(form(sent[0]?.body), {
        client_id: "client",
        grant_type: "refresh_token",
        refresh_token: "r0",
      })
      assert.strictEqual(sent[1]?.headers.get("content-type"), "application/json")
      assert.containSubset(JSON.parse(sent[1]?.body ?? ""), { grant_type: "authorization_code", code: "c" })
    }).pipe(Effect.scoped),
  )

  it.effect("for a token names the state and the resource, where the record says so", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(token, token, code, token)
      const provider = providerOf({ stateInExchange: true, resource: "https://mcp.example/a" })
      const { grant, state } = yield* redeem(client, provider)
      assert.strictEqual(new URL(grant.authorizationUrl).searchParams.get("resource"), "https://mcp.example/a")
      assert.containSubset(form(sent[0]?.body), { state, resource: "https://mcp.example/a" })
      yield* refresh(client, provider)
      yield* (yield* client.beginDevice(provider)).poll
      for (const { body } of sent) assert.include(form(body), { resource: "https://mcp.example/a" })
      assert.notProperty(form(sent[1]?.body), "state")
    }).pipe(Effect.scoped),
  )

  it.effect("for access adds the record's parameters, and has a challenge unless the record says otherwise", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(token)
      const parameters = { code: "true", prompt: "login" }
      const standard = yield* redeem(client, providerOf({ authorizationParameters: { prompt: "login" } }))
      const without = yield* redeem(client, providerOf({ pkce: "none", scopes: ["offline_access"] }))
      const asked = (url: string) => new URL(url).searchParams
      assert.strictEqual(asked(standard.grant.authorizationUrl).get("prompt"), parameters.prompt)
      assert.strictEqual(asked(standard.grant.authorizationUrl).get("code_challenge_method"), "S256")
      assert.isFalse(asked(without.grant.authorizationUrl).has("code_challenge"))
      assert.strictEqual(asked(without.grant.authorizationUrl).get("prompt"), "consent")
      assert.property(form(sent[0]?.body), "code_verifier")
      assert.notProperty(form(sent[1]?.body), "code_verifier")
    }).pipe(Effect.scoped),
  )

  it("never lets a record set what the flow sets", () => {
    for (const name of ["state", "redirect_uri", "code_challenge", "client_id"]) {
      assert.throws(() => providerOf({ authorizationParameters: { [name]: "x" } }), name)
    }
  })

  it.effect("shows a secret as the record says", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(token)
      const secret = Option.some(Redacted.make("s"))
      yield* refresh(client, { ...providerOf({ clientAuthentication: "post" }), secret })
      yield* refresh(client, { ...providerOf({}), secret })
      assert.include(form(sent[0]?.body), { client_secret: "s" })
      assert.match(sent[1]?.headers.get("authorization") ?? "", /^Basic /)
    }).pipe(Effect.scoped),
  )
})

describe("a device code", () => {
  it.effect("has a challenge of ours, and each poll the verifier", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(code, token)
      const grant = yield* client.beginDevice(providerOf({ device: { pkce: "S256" } }))
      yield* grant.poll
      const { code_challenge: challenge, code_challenge_method: method } = form(sent[0]?.body)
      const { code_verifier: verifier = "" } = form(sent[1]?.body)
      const digest = yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)))
      assert.strictEqual(method, "S256")
      assert.strictEqual(challenge, Buffer.from(digest).toString("base64url"))
    }).pipe(Effect.scoped),
  )

  it.effect("may bring a code and a verifier of the provider's, which are exchanged", () =>
    Effect.gen(function* () {
      const made = json({ authorization_code: "c1", code_verifier: "v1" })
      const { client, sent } = yield* clientAnswering(code, made, token)
      const provider = providerOf({
        device: { pkce: "server-made", redirectUri: `${at}/done` },
        endpoints: { token: `${at}/token`, deviceAuthorization: `${at}/device`, devicePoll: `${at}/poll` },
      })
      const granted = yield* (yield* client.beginDevice(provider)).poll
      assert.deepStrictEqual(
        sent.map(({ path }) => path),
        ["/device", "/poll", "/token"],
      )
      assert.include(form(sent[2]?.body), {
        grant_type: "authorization_code",
        code: "c1",
        code_verifier: "v1",
        redirect_uri: `${at}/done`,
      })
      assert.strictEqual(Redacted.value(granted.accessToken), "a")
    }).pipe(Effect.scoped),
  )

  it.effect("is entered, lives and is polled as the record says, where the answer does not", () =>
    Effect.gen(function* () {
      const { client } = yield* clientAnswering(json({ device_code: "d", user_code: "U" }))
      const device = { verificationUri: `${at}/enter`, interval: 2, lifetime: 900 }
      const grant = yield* client.beginDevice(providerOf({ device }))
      assert.strictEqual(grant.verificationUri, `${at}/enter`)
      assert.strictEqual(Duration.toSeconds(grant.interval), 2)
      assert.strictEqual(Duration.toSeconds(grant.expiresIn), 900)
    }).pipe(Effect.scoped),
  )

  for (const [what, answer, tag] of [
    ["403", json({}, 403), "AuthorizationPending"],
    ["429 with slow_down", json({ error: "slow_down" }, 429), "SlowDown"],
    ["429 alone", json({}, 429), "ProviderFailure"],
    ["401", json({ error: "whatever" }, 401), "GrantExpired"],
    ["authorization_pending in a 200", json({ error: "authorization_pending" }), "AuthorizationPending"],
  ] as const) {
    it.effect(`that is answered with ${what} is ${tag} by the record's rules`, () =>
      Effect.gen(function* () {
        const { client } = yield* clientAnswering(code, answer)
        const provider = providerOf({
          errors: [
            { calls: ["poll"], status: 403, means: "pending" },
            { calls: ["poll"], status: 429, code: "SLOW_DOWN", means: "slow_down" },
            { calls: ["poll"], status: 401, means: "expired" },
          ],
        })
        const grant = yield* client.beginDevice(provider)
        assert.strictEqual(yield* tagOf(grant.poll), tag)
      }).pipe(Effect.scoped),
    )
  }

  it.effect("is polled as seldom as the provider says from then on", () =>
    Effect.gen(function* () {
      const { client } = yield* clientAnswering(code, json({ error: "slow_down", interval: "17" }))
      const failure = yield* Effect.flip((yield* client.beginDevice(providerOf({}))).poll)
      assert.deepInclude(failure, { _tag: "SlowDown", interval: Duration.seconds(17) })
    }).pipe(Effect.scoped),
  )
})

describe("an error", () => {
  for (const [what, body, expected] of [
    ["in error", { error: "invalid_grant" }, "invalid_grant"],
    [
      "in error.code",
      { error: { code: "refresh_token_reused", type: "invalid_request_error" } },
      "refresh_token_reused",
    ],
    ["in code", { code: "refresh_token_expired" }, "refresh_token_expired"],
    ["in error.type", { type: "error", error: { type: "rate_limit_error" } }, "rate_limit_error"],
    ["nowhere", { error: {}, message: "invalid_grant" }, undefined],
  ] as const) {
    it(`may have its code ${what}`, () => {
      assert.strictEqual(Option.getOrUndefined(ErrorMeaning.codeIn(body)), expected)
    })
  }

  for (const [means, tag] of [
    ["relogin", "ReloginNeeded"],
    ["refused", "NotEntitled"],
    ["rate_limited", "RateLimited"],
    ["trouble", "Transient"],
    ["moved", "EndpointMoved"],
  ] as const) {
    it.effect(`is ${tag} if the record says that it means ${means}`, () =>
      Effect.gen(function* () {
        const { client } = yield* clientAnswering(json({ error: "odd" }, 418))
        const errors = [
          { calls: ["poll"], means: "pending" },
          { status: 418, means },
        ] as const
        const failure = yield* Effect.flip(refresh(client, providerOf({ errors })))
        assert.strictEqual(failure.reason._tag, tag)
      }).pipe(Effect.scoped),
    )
  }

  it.effect("about a device code makes no sense in answer to anything else", () =>
    Effect.gen(function* () {
      const { client } = yield* clientAnswering(json({ error: "x" }, 400))
      const failure = yield* Effect.flip(refresh(client, providerOf({ errors: [{ status: 400, means: "pending" }] })))
      assert.containSubset(failure.reason, { _tag: "Transient", what: "malformed-answer" })
    }).pipe(Effect.scoped),
  )

  it("never fails to be found, whatever the body", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
        ErrorMeaning.codeIn(body)
      }),
    )
  })
})

const jwt = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`

describe("the life of a token", () => {
  for (const [what, expiry, answer, expected] of [
    ["as the token itself says", "jwt", { access_token: jwt({ exp: 1600 }), expires_in: 5 }, 600],
    ["by a clock that is ahead", "jwt", { access_token: jwt({ exp: 5600, iat: 5000 }) }, 600],
    ["of one that is no JWT", "jwt", { access_token: "opaque", expires_in: 5 }, 5],
    ["of one that is over", "jwt", { access_token: jwt({ exp: 900 }) }, 0],
    ["until it is to be refreshed", "refresh_in", { access_token: "a", expires_in: 1800, refresh_in: 1500 }, 1500],
    ["that is not said", "refresh_in", { access_token: "a" }, undefined],
  ] as const) {
    it.effect(`${what} is ${expected} s`, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        const { client } = yield* clientAnswering(json(answer))
        const { expiresAt } = yield* refresh(client, providerOf({ expiry }))
        const seconds = expiresAt && DateTime.toEpochMillis(expiresAt) / 1000 - 1000
        assert.strictEqual(seconds, expected)
      }).pipe(Effect.scoped),
    )
  }
})

describe("an answer", () => {
  it.effect("may be a form", () =>
    Effect.gen(function* () {
      const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" }
      const { client } = yield* clientAnswering(() => new Response("access_token=a&refresh_token=r1", { headers }))
      const { refreshToken } = yield* refresh(client, providerOf({}))
      assert.strictEqual(Redacted.value(refreshToken ?? Redacted.make("")), "r1")
    }).pipe(Effect.scoped),
  )

  it.effect("with a refresh token and no access token keeps that, for a login it is nothing", () =>
    Effect.gen(function* () {
      const { client } = yield* clientAnswering(json({ refresh_token: "r1", access_token: null }))
      const refreshed = yield* refresh(client, providerOf({}))
      assert.strictEqual(Redacted.value(refreshed.refreshToken ?? Redacted.make("")), "r1")
      assert.isUndefined(refreshed.accessToken)
      assert.strictEqual(yield* tagOf(redeem(client, providerOf({}))), "ProviderFailure")
    }).pipe(Effect.scoped),
  )
})

describe("a dialect", () => {
  /** As GitHub's token is traded once more for Copilot's. */
  const second: Dialect = {
    answer: (answer, to) =>
      to.call === "poll"
        ? { ...to, call: "refresh", method: "GET", url: `${at}/second`, headers: { authorization: "token gh" } }
        : to.method === "GET"
          ? { ...answer, body: { access_token: answer.body["token"], refresh_token: "gh" } }
          : answer,
  }

  it.effect("puts its request in place of ours, and our answer in place of its", () =>
    Effect.gen(function* () {
      const dialect: Dialect = {
        request: (request) => ({
          ...request,
          url: `${at}/odd`,
          parameters: { odd: request.parameters["refresh_token"] ?? "" },
        }),
        answer: ({ body, ...answer }) => ({ ...answer, body: { access_token: body["odd"], expires_in: 5 } }),
      }
      const { client, sent } = yield* clientAnswering(json({ odd: "a" }))
      const { accessToken } = yield* refresh(client, providerOf({}, dialect))
      assert.containSubset(sent[0], { path: "/odd", body: "odd=r0" })
      assert.strictEqual(Redacted.value(accessToken ?? Redacted.make("")), "a")
    }).pipe(Effect.scoped),
  )

  it.effect("may take one request more", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(code, json({ access_token: "gh" }), json({ token: "cp" }))
      const granted = yield* (yield* client.beginDevice(providerOf({}, second))).poll
      assert.containSubset(sent[2], { path: "/second", method: "GET", body: "" })
      assert.strictEqual(sent[2]?.headers.get("authorization"), "token gh")
      assert.strictEqual(Redacted.value(granted.accessToken), "cp")
    }).pipe(Effect.scoped),
  )

  it.live("asks again after a moment's trouble, as what was granted before would be lost", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(
        code,
        json({ access_token: "gh" }),
        json({}, 503),
        json({ token: "cp" }),
      )
      const granted = yield* (yield* client.beginDevice(providerOf({}, second))).poll
      assert.strictEqual(sent.length, 4)
      assert.strictEqual(Redacted.value(granted.accessToken), "cp")
    }).pipe(Effect.scoped),
  )

  for (const [what, dialect] of [
    ["throws", { answer: () => JSON.parse("secret") }],
    ["asks without end", { answer: (_, to) => to }],
    ["asks over plain http", { request: (request) => ({ ...request, url: "http://evil.example/" }) }],
  ] as const satisfies ReadonlyArray<readonly [string, Dialect]>) {
    it.effect(`that ${what} fails the call, and says nothing of what came`, () =>
      Effect.gen(function* () {
        const { client, sent } = yield* clientAnswering(token)
        const failure = yield* Effect.flip(refresh(client, providerOf({}, dialect)))
        assert.strictEqual(failure.reason._tag, "Misconfigured")
        assert.notInclude(failure.message, "secret")
        assert.isAtMost(sent.length, 3)
      }).pipe(Effect.scoped),
    )
  }
})

describe("a dialect that has what must not be lost", () => {
  const otherwise = { status: 200, headers: {}, body: { refresh_token: "kept" } }
  const cases: ReadonlyArray<readonly [string, NonNullable<Dialect["answer"]>]> = [
    ["cannot be sent", (_, to) => ({ ...to, url: "http://evil.example/", otherwise })],
    ["is not understood", (_, to) => (to.otherwise === undefined ? { ...to, otherwise } : JSON.parse("secret"))],
    ["asks without end", (_, to) => ({ ...to, otherwise })],
  ]
  for (const [what, answer] of cases) {
    it.effect(`keeps it if its further request ${what}`, () =>
      Effect.gen(function* () {
        const { client } = yield* clientAnswering(token)
        const refreshed = yield* refresh(client, providerOf({}, { answer }))
        assert.strictEqual(Redacted.value(refreshed.refreshToken ?? Redacted.make("")), "kept")
        assert.isUndefined(refreshed.accessToken)
      }).pipe(Effect.scoped),
    )
  }
})

describe("a revocation", () => {
  it.effect("names the token and its kind, and takes any success for an answer", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* clientAnswering(() => new Response(null, { status: 200 }))
      const grant = Option.getOrThrow(yield* client.beginRevocation(providerOf({})))
      yield* grant.revoke(Redacted.make("r0"), "refresh_token")
      assert.strictEqual(sent[0]?.path, "/revoke")
      assert.deepStrictEqual(form(sent[0]?.body), {
        client_id: "client",
        token: "r0",
        token_type_hint: "refresh_token",
      })
    }).pipe(Effect.scoped),
  )

  it.effect("is not there without an endpoint, and fails as the provider says", () =>
    Effect.gen(function* () {
      const { client } = yield* clientAnswering(json({ error: "unsupported_token_type" }, 400))
      const endpoints = { token: `${at}/token` }
      assert.isTrue(Option.isNone(yield* client.beginRevocation(providerOf({ endpoints }))))
      const grant = Option.getOrThrow(yield* client.beginRevocation(providerOf({})))
      const failure = yield* Effect.flip(grant.revoke(Redacted.make("a"), "access_token"))
      assert.strictEqual(failure.reason._tag, "NotEntitled")
    }).pipe(Effect.scoped),
  )
})
