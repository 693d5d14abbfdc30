/**
 * What the scripted provider must do, in process or on a socket: seen through nothing but `fetch`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, DateTime, Duration, Effect, type Layer, Option, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import type { Options } from "../../src/testing/AuthorizationServer.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"

const decodeTokens = Schema.decodeUnknownSync(
  Schema.Struct({
    access_token: Schema.String,
    refresh_token: Schema.optionalKey(Schema.String),
    expires_in: Schema.optionalKey(Schema.Unknown),
  }),
)

/** What `fetch` rejects with. */
class NotAnswered extends Data.TaggedError("NotAnswered")<{ readonly cause: unknown }> {}

const basic = (id: string, secret: string) => `Basic ${btoa(`${id}:${secret}`)}`

/** A request with the client's own id and secret. */
const post = Effect.fnUntraced(function* (
  path: string,
  parameters: { readonly [name: string]: string },
  init: RequestInit = {},
) {
  const { provider } = yield* ScriptedProvider
  const fetch = yield* FetchHttpClient.Fetch
  const secret = Redacted.value(Option.getOrThrow(provider.secret))
  return yield* Effect.tryPromise({
    try: () =>
      fetch(`${provider.issuer}${path}`, {
        method: "POST",
        body: new URLSearchParams(parameters),
        headers: { authorization: basic(provider.clientId, secret) },
        redirect: "manual",
        ...init,
      }),
    catch: (cause) => new NotAnswered({ cause }),
  })
})

const get = Effect.fnUntraced(function* (path: string, init: RequestInit = {}) {
  const { provider } = yield* ScriptedProvider
  const fetch = yield* FetchHttpClient.Fetch
  return yield* Effect.promise(() => fetch(`${provider.issuer}${path}`, { redirect: "manual", ...init }))
})

const jsonOf = (response: Response) => Effect.promise((): Promise<unknown> => response.json())

const refreshing = (token: Redacted.Redacted, init: RequestInit = {}) =>
  post("/token", { grant_type: "refresh_token", refresh_token: Redacted.value(token) }, init)

/** A refresh that brings tokens. */
const refreshed = Effect.fnUntraced(function* (token: Redacted.Redacted) {
  const response = yield* refreshing(token)
  assert.strictEqual(response.status, 200)
  const tokens = decodeTokens(yield* jsonOf(response))
  return {
    accessToken: Redacted.make(tokens.access_token),
    refreshToken: Redacted.make(tokens.refresh_token ?? ""),
    expiresIn: tokens.expires_in,
  }
})

/** A refresh that is refused: its status and the OAuth error. */
const refused = Effect.fnUntraced(function* (token: Redacted.Redacted) {
  const response = yield* refreshing(token)
  assert.isAtLeast(response.status, 400)
  return [response.status, yield* jsonOf(response)] as const
})

/** A refresh that is not answered. */
const cutOff = Effect.fnUntraced(function* (token: Redacted.Redacted) {
  assert.instanceOf((yield* Effect.flip(refreshing(token))).cause, TypeError)
})

const invalidGrant = [400, { error: "invalid_grant" }] as const

export const suite = <E>(name: string, layer: (options?: Options) => Layer.Layer<ScriptedProvider, E>) =>
  describe(`the scripted provider ${name}`, () => {
    const test = <A, E2>(title: string, effect: Effect.Effect<A, E2, ScriptedProvider>, options: Options = {}) =>
      it.live(title, () => Effect.provide(effect, layer(options)))

    describe("a login", () => {
      test(
        "is there without a flow, and can be refreshed again and again",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const { family, token } = yield* provider.login
          assert.strictEqual(family, 1)
          assert.isTrue(yield* provider.isActive(token.accessToken))
          const first = yield* refreshed(token.refreshToken)
          const second = yield* refreshed(first.refreshToken)
          assert.isTrue(yield* provider.isActive(second.accessToken))
          assert.deepStrictEqual(yield* provider.families, [
            { number: 1, redemptions: 2, refusals: 0, reuses: 0, dead: false },
          ])
          assert.deepStrictEqual(yield* provider.calls, ["refresh_token", "refresh_token"])
        }),
      )

      test(
        "dies with all its tokens when a refresh token is used twice, and other logins do not",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const { token } = yield* provider.login
          const other = yield* provider.login
          const first = yield* refreshed(token.refreshToken)
          assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
          assert.deepStrictEqual(yield* refused(first.refreshToken), invalidGrant)
          assert.isFalse(yield* provider.isActive(first.accessToken))
          yield* refreshed(other.token.refreshToken)
          assert.deepStrictEqual(yield* provider.families, [
            { number: 1, redemptions: 1, refusals: 2, reuses: 1, dead: true },
            { number: 2, redemptions: 1, refusals: 0, reuses: 0, dead: false },
          ])
          const seen = (yield* provider.journal).map(({ presented }) => presented)
          assert.deepStrictEqual(seen, [
            { was: "live", family: 1, token: 1 },
            { was: "spent", family: 1, token: 1 },
            { was: "revoked", family: 1, token: 2 },
            { was: "live", family: 2, token: 1 },
          ])
        }),
      )

      test(
        "has one winner among a thousand concurrent uses of one refresh token",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          yield* provider.setPolicy({ reuse: "refuse" })
          const { token } = yield* provider.login
          const responses = yield* Effect.all(
            Array.from({ length: 1000 }, () => refreshing(token.refreshToken)),
            { concurrency: 100 },
          )
          yield* Effect.forEach(responses, jsonOf, { concurrency: "unbounded" })
          assert.strictEqual(responses.filter(({ status }) => status === 200).length, 1)
          assert.deepStrictEqual(yield* provider.families, [
            { number: 1, redemptions: 1, refusals: 999, reuses: 999, dead: false },
          ])
        }),
      )
    })

    describe("the policy", () => {
      test(
        "of keeping refresh tokens brings no new one",
        Effect.gen(function* () {
          const { token } = yield* (yield* ScriptedProvider).login
          for (let round = 0; round < 3; round++) {
            assert.strictEqual(Redacted.value((yield* refreshed(token.refreshToken)).refreshToken), "")
          }
        }),
        { rotation: "keep" },
      )

      test(
        "of a grace brings a further pair for the previous token, until its successor is used",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const { token } = yield* provider.login
          yield* refreshed(token.refreshToken)
          const further = yield* refreshed(token.refreshToken)
          yield* refreshed(further.refreshToken)
          assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
          assert.containSubset(yield* provider.families, [{ redemptions: 3, reuses: 1, dead: true }])
        }),
        { grace: "1 minute" },
      )

      test(
        "of refusing reuse leaves the login alive",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const { token } = yield* provider.login
          const first = yield* refreshed(token.refreshToken)
          assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
          yield* refreshed(first.refreshToken)
          assert.containSubset(yield* provider.families, [{ reuses: 1, dead: false }])
        }),
        { reuse: "refuse" },
      )

      test(
        "changes while the server runs: lifetimes, the issuer in the metadata, the clock",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const { token } = yield* provider.login
          yield* provider.setPolicy({
            accessTokenLifetime: "7 seconds",
            metadataIssuer: "https://other.example",
            clockSkew: Duration.hours(-2),
          })
          assert.strictEqual((yield* refreshed(token.refreshToken)).expiresIn, 7)
          const response = yield* get("/.well-known/oauth-authorization-server")
          assert.containSubset(yield* jsonOf(response), { issuer: "https://other.example" })
          const late = DateTime.subtract(yield* DateTime.now, { hours: 2 })
          const said = DateTime.makeUnsafe(response.headers.get("date") ?? "")
          assert.isBelow(Duration.toSeconds(Duration.abs(DateTime.distance(said, late))), 5)
          yield* provider.setPolicy({ metadataIssuer: undefined })
          const again = yield* jsonOf(yield* get("/.well-known/openid-configuration"))
          assert.containSubset(again, { issuer: provider.provider.issuer })
        }),
      )
    })

    describe("the script", () => {
      test(
        "drops answers after the work, or before it",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          yield* provider.script([Behaviour.dropBefore, Behaviour.drop])
          const { token } = yield* provider.login
          yield* cutOff(token.refreshToken)
          assert.containSubset(yield* provider.families, [{ redemptions: 0 }])
          yield* cutOff(token.refreshToken)
          assert.containSubset(yield* provider.families, [{ redemptions: 1 }])
          assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
          assert.deepStrictEqual(
            (yield* provider.journal).map(({ answered }) => answered),
            ["dropped", "dropped", 400],
          )
        }),
      )

      test(
        "answers late, after the work",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          yield* provider.script([Behaviour.slow("200 millis")])
          const { token } = yield* provider.login
          const [taken] = yield* Effect.timed(refreshed(token.refreshToken))
          assert.isAtLeast(Duration.toMillis(taken), 195)
        }),
      )

      test(
        "refuses without doing anything, and then behaves well",
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          yield* provider.script([
            Behaviour.tooManyRequests("2 minutes"),
            Behaviour.tooManyRequests("2 minutes", "date"),
            Behaviour.status(400, "invalid_grant"),
            Behaviour.status(503),
          ])
          const { token } = yield* provider.login
          assert.strictEqual((yield* refreshing(token.refreshToken)).headers.get("retry-after"), "120")
          const response = yield* refreshing(token.refreshToken)
          assert.strictEqual(response.status, 429)
          const until = DateTime.makeUnsafe(response.headers.get("retry-after") ?? "")
          const away = Duration.toSeconds(DateTime.distance(yield* DateTime.now, until))
          assert.isTrue(away > 110 && away <= 120, String(away))
          assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
          assert.deepStrictEqual(yield* refused(token.refreshToken), [503, {}])
          yield* refreshed(token.refreshToken)
          assert.deepStrictEqual(yield* provider.unplayed, [])
        }),
      )
    })
  })
