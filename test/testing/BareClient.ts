/**
 * An OAuth client in the bare: what the contract of the scripted provider is seen through.
 */
import { assert } from "@effect/vitest"
import { Data, Effect, Option, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"

export const decodeTokens = Schema.decodeUnknownSync(
  Schema.Struct({
    access_token: Schema.String,
    refresh_token: Schema.optionalKey(Schema.String),
    expires_in: Schema.optionalKey(Schema.Unknown),
  }),
)

/** What `fetch` rejects with. */
export class NotAnswered extends Data.TaggedError("NotAnswered")<{ readonly cause: unknown }> {}

export const basic = (id: string, secret: string) => `Basic ${btoa(`${id}:${secret}`)}`

/** A request with the client's own id and secret. */
export const post = Effect.fnUntraced(function* (
  path: string,
  parameters: { readonly [name: string]: string },
  init: RequestInit = {},
) {
  const { provider } = yield* ScriptedProvider
  const fetch = yield* FetchHttpClient.Fetch
  const secret = Option.match(provider.secret, { onNone: () => "", onSome: Redacted.value })
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

export const get = Effect.fnUntraced(function* (path: string, init: RequestInit = {}) {
  const { provider } = yield* ScriptedProvider
  const fetch = yield* FetchHttpClient.Fetch
  return yield* Effect.promise(() => fetch(`${provider.issuer}${path}`, { redirect: "manual", ...init }))
})

export const jsonOf = (response: Response) => Effect.promise((): Promise<unknown> => response.json())

export const refreshing = (token: Redacted.Redacted, init: RequestInit = {}) =>
  post("/token", { grant_type: "refresh_token", refresh_token: Redacted.value(token) }, init)

/** A refresh that brings tokens. */
export const refreshed = Effect.fnUntraced(function* (token: Redacted.Redacted) {
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
export const refused = Effect.fnUntraced(function* (token: Redacted.Redacted) {
  const response = yield* refreshing(token)
  assert.isAtLeast(response.status, 400)
  return [response.status, yield* jsonOf(response)] as const
})

export const bytesOf = (response: Response) =>
  Effect.tryPromise({ try: () => response.arrayBuffer(), catch: (cause) => new NotAnswered({ cause }) })

/** A refresh that is not answered. */
export const cutOff = Effect.fnUntraced(function* (token: Redacted.Redacted) {
  assert.instanceOf((yield* Effect.flip(refreshing(token))).cause, TypeError)
})

export const invalidGrant = [400, { error: "invalid_grant" }] as const

export const decodeDevice = Schema.decodeUnknownSync(
  Schema.Struct({ device_code: Schema.String, user_code: Schema.String }),
)

export const redirectUri = "http://127.0.0.1/callback"
/** RFC 7636 appendix B. */
export const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
export const authorizationUrl = (issuer: string) =>
  `${issuer}/authorize?${new URLSearchParams({
    response_type: "code",
    client_id: "scripted-client",
    redirect_uri: redirectUri,
    state: "a state",
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  })}`
