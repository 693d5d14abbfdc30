/**
 * What we say to a provider, and what its answers mean: the one place that speaks OAuth.
 *
 * oauth4webapi builds each request and checks each answer; sending is ours, so that limits, interruption and the clock
 * are Effect's. Secrets of a grant (verifier, device code) live in the closures that are returned, and nowhere else.
 */
import { Context, DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { AuthorizationPending, SlowDown } from "../domain/Errors.ts"
import type { Granter } from "../domain/AccountRecord.ts"
import { printable } from "../domain/RemoteText.ts"
import type { RefreshedToken, StoredToken } from "../domain/Token.ts"
import { CallbackRejected, GrantDenied, GrantExpired } from "./GrantFailure.ts"
import { endpoint, Metadata } from "./Metadata.ts"
import { granterOf, type Provider } from "./Provider.ts"
import * as ProviderCall from "./ProviderCall.ts"
import type { Reply } from "./ProviderCall.ts"
import type { JsonObject } from "./JsonObject.ts"
import { ProviderFetch } from "./ProviderFetch.ts"
import { ProviderFailure } from "./ProviderFailure.ts"
import { askedInterval, deviceShape, tokenFrom, tokenShape, toStored } from "./ResponseShape.ts"
import * as SecureUrl from "./SecureUrl.ts"

/** An authorization code grant with PKCE, begun (RFC 6749 section 4.1, RFC 7636 with S256). */
export interface CodeGrant {
  readonly granter: Granter
  /** For the person's browser. Carries the state and the challenge, not the verifier. */
  readonly authorizationUrl: string
  /** 256 bits that come back with the answer. */
  readonly state: Redacted.Redacted
  /** The issuer that an answer must name, where it names one (RFC 9207). */
  readonly issuer: string
  /** Exchanges what came back for a token. */
  readonly redeem: (
    callback: URLSearchParams,
  ) => Effect.Effect<StoredToken, CallbackRejected | GrantDenied | ProviderFailure>
}

/** A device grant, begun (RFC 8628). */
export interface DeviceGrant {
  readonly granter: Granter
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: Option.Option<string>
  /** The least time between two polls. */
  readonly interval: Duration.Duration
  readonly expiresIn: Duration.Duration
  /** Asks once. */
  readonly poll: Effect.Effect<
    StoredToken,
    AuthorizationPending | SlowDown | GrantDenied | GrantExpired | ProviderFailure
  >
}

/** A refresh, begun: where to send it is known, and nothing has been sent (RFC 6749 section 6). */
export interface RefreshGrant {
  /** Who will be shown the refresh token. */
  readonly granter: Granter
  /** Sends the refresh token, once. */
  readonly redeem: (refreshToken: Redacted.Redacted) => Effect.Effect<RefreshedToken, ProviderFailure>
}

/** RFC 7009 section 2.1. */
export type TokenKind = "refresh_token" | "access_token"

/** A revocation, begun: nothing has been sent (RFC 7009). */
export interface RevocationGrant {
  readonly granter: Granter
  /** Makes a token worthless. A token that is worthless already is no error. */
  readonly revoke: (token: Redacted.Redacted, kind: TokenKind) => Effect.Effect<void, ProviderFailure>
}

/** RFC 8628 section 3.5: "If no value is provided, clients MUST use 5 as the default." */
const defaultInterval = Duration.seconds(5)

/** Speaks OAuth to any provider. */
export class OAuthClient extends Context.Service<
  OAuthClient,
  {
    readonly beginCode: (provider: Provider, redirectUri: string) => Effect.Effect<CodeGrant, ProviderFailure>
    readonly beginDevice: (provider: Provider) => Effect.Effect<DeviceGrant, ProviderFailure>
    readonly beginRefresh: (provider: Provider) => Effect.Effect<RefreshGrant, ProviderFailure>
    /** None if the provider has no endpoint for it. */
    readonly beginRevocation: (provider: Provider) => Effect.Effect<Option.Option<RevocationGrant>, ProviderFailure>
  }
>()("tokenkeep/oauth/OAuthClient") {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const metadata = yield* Metadata
      const fetch = yield* ProviderFetch

      /** The token in an answer of the token endpoint. */
      const tokenOf = Effect.fnUntraced(function* (
        provider: Provider,
        reply: Reply,
        process: (response: Response) => Promise<oauth.TokenEndpointResponse>,
      ) {
        const answer = yield* successOf(provider, reply)
        const receivedAt = yield* DateTime.now
        const { body, idToken, tokenType } = tokenShape(answer, provider.expiry, receivedAt)
        const token = yield* Effect.tryPromise({
          try: () => process(Response.json(body)),
          catch: () => ProviderFailure.transient(provider.name, "malformed-answer"),
        })
        return tokenFrom(token, { idToken, tokenType }, receivedAt)
      })

      return OAuthClient.of({
        beginCode: Effect.fn("OAuthClient.beginCode")(function* (provider, redirectUri) {
          const server = yield* metadata.of(provider)
          const authorization = yield* endpoint(provider, server, "authorization_endpoint")
          const tokenEndpoint = yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const call = ProviderCall.make(fetch, provider)
          const verifier = provider.pkce === "none" ? oauth.nopkce : oauth.generateRandomCodeVerifier()
          const state = oauth.generateRandomState()
          authorization.searchParams.set("response_type", "code")
          authorization.searchParams.set("client_id", provider.clientId)
          authorization.searchParams.set("redirect_uri", redirectUri)
          authorization.searchParams.set("state", state)
          if (typeof verifier === "string") {
            for (const [name, value] of Object.entries(yield* challengeOf(verifier))) {
              authorization.searchParams.set(name, value)
            }
          }
          if (provider.scopes.length > 0) authorization.searchParams.set("scope", provider.scopes.join(" "))
          // OpenID Connect Core section 11: offline access needs the person's consent to be asked for.
          if (provider.scopes.includes("offline_access")) authorization.searchParams.set("prompt", "consent")
          if (provider.resource !== undefined) authorization.searchParams.set("resource", provider.resource)
          for (const [name, value] of Object.entries(provider.authorizationParameters ?? {})) {
            authorization.searchParams.set(name, value)
          }

          return {
            granter: granterOf(provider, tokenEndpoint.href),
            authorizationUrl: authorization.href,
            state: Redacted.make(state),
            issuer: server.issuer,
            redeem: Effect.fn("CodeGrant.redeem")(function* (callback) {
              // Without an issuer in the record there is nothing to hold the answer's against.
              if (provider.issuer === undefined) callback.delete("iss")
              const validated = yield* Effect.try({
                try: () => oauth.validateAuthResponse(server, client, callback, state),
                catch: (error) => rejection(error, callback, state),
              })
              if (!validated.has("code")) return yield* new CallbackRejected({ what: "no code" })
              const reply = yield* call(
                "exchange",
                (options) =>
                  oauth.authorizationCodeGrantRequest(server, client, auth, validated, redirectUri, verifier, options),
                provider.stateInExchange === true ? { state } : {},
              )
              const token = yield* tokenOf(provider, reply, (response) =>
                oauth.processAuthorizationCodeResponse(server, client, response),
              )
              return toStored(provider, token)
            }),
          }
        }),

        beginDevice: Effect.fn("OAuthClient.beginDevice")(function* (provider) {
          const server = yield* metadata.of(provider)
          yield* endpoint(provider, server, "device_authorization_endpoint")
          const tokenEndpoint = yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const call = ProviderCall.make(fetch, provider)
          const verifier = provider.device?.pkce === "S256" ? oauth.generateRandomCodeVerifier() : undefined
          const parameters = provider.scopes.length > 0 ? { scope: provider.scopes.join(" ") } : {}
          const reply = yield* call(
            "device",
            (options) => oauth.deviceAuthorizationRequest(server, client, auth, parameters, options),
            verifier === undefined ? {} : yield* challengeOf(verifier),
          )
          const shaped = deviceShape(yield* successOf(provider, reply), provider.device ?? {})
          const malformed = ProviderFailure.transient(provider.name, "malformed-answer")
          const device = yield* Effect.tryPromise({
            try: () => oauth.processDeviceAuthorizationResponse(server, client, Response.json(shaped)),
            catch: () => malformed,
          })

          /** The provider has made the verifier itself, and a poll brings it, with a code, instead of a token. */
          const exchangeServerMade = Effect.fnUntraced(function* (reply: Reply) {
            const body = yield* successOf(provider, reply)
            const redirectUri = provider.device?.redirectUri
            const { authorization_code: code, code_verifier: made } = body
            if (typeof code !== "string" || typeof made !== "string" || redirectUri === undefined) return reply
            const grant = { code, redirect_uri: redirectUri, code_verifier: made }
            return yield* call("exchange", (options) =>
              oauth.genericTokenEndpointRequest(server, client, auth, "authorization_code", grant, options),
            )
          })

          const verificationUri = SecureUrl.parse(device.verification_uri)
          if (Option.isNone(verificationUri)) return yield* malformed
          return {
            userCode: printable(device.user_code),
            verificationUri: verificationUri.value.href,
            verificationUriComplete: Option.fromUndefinedOr(device.verification_uri_complete).pipe(
              Option.flatMap(SecureUrl.parse),
              Option.map((url) => url.href),
            ),
            interval: device.interval === undefined ? defaultInterval : Duration.seconds(device.interval),
            expiresIn: Duration.seconds(device.expires_in),
            granter: granterOf(provider, tokenEndpoint.href),
            poll: Effect.gen(function* () {
              const reply = yield* call(
                "poll",
                (options) => oauth.deviceCodeGrantRequest(server, client, auth, device.device_code, options),
                verifier === undefined ? {} : { code_verifier: verifier },
              )
              if (reply._tag === "Refusal") {
                if (reply.means === "pending") return yield* AuthorizationPending.make({})
                if (reply.means === "slow_down") return yield* SlowDown.make(askedInterval(Redacted.value(reply.body)))
                if (reply.means === "denied") return yield* new GrantDenied()
                if (reply.means === "expired") return yield* new GrantExpired()
              }
              const granted = provider.device?.pkce === "server-made" ? yield* exchangeServerMade(reply) : reply
              const token = yield* tokenOf(provider, granted, (response) =>
                oauth.processDeviceCodeResponse(server, client, response),
              )
              return toStored(provider, token)
            }).pipe(Effect.withSpan("DeviceGrant.poll")),
          }
        }),

        beginRefresh: Effect.fn("OAuthClient.beginRefresh")(function* (provider) {
          const server = yield* metadata.of(provider)
          const tokenEndpoint = yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const call = ProviderCall.make(fetch, provider)
          return {
            granter: granterOf(provider, tokenEndpoint.href),
            redeem: Effect.fn("RefreshGrant.redeem")(function* (refreshToken) {
              const reply = yield* call("refresh", (options) =>
                oauth.refreshTokenGrantRequest(server, client, auth, Redacted.value(refreshToken), options),
              )
              const rest = yield* withoutAccessToken(provider, reply)
              if (Option.isSome(rest)) return rest.value
              return yield* tokenOf(provider, reply, (response) =>
                oauth.processRefreshTokenResponse(server, client, response),
              )
            }),
          }
        }),

        beginRevocation: Effect.fn("OAuthClient.beginRevocation")(function* (provider) {
          const server = yield* metadata.of(provider)
          if (server.revocation_endpoint === undefined) return Option.none()
          yield* endpoint(provider, server, "revocation_endpoint")
          const tokenEndpoint = yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const call = ProviderCall.make(fetch, provider)
          return Option.some({
            granter: granterOf(provider, tokenEndpoint.href),
            revoke: Effect.fn("RevocationGrant.revoke")(function* (token: Redacted.Redacted, kind: TokenKind) {
              const reply = yield* call(
                "revoke",
                (options) => oauth.revocationRequest(server, client, auth, Redacted.value(token), options),
                { token_type_hint: kind },
              )
              yield* successOf(provider, reply)
            }),
          })
        }),
      })
    }),
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(Metadata.layerNoDeps), Layer.provide(ProviderFetch.layer))
}

/** Who we are to the provider (RFC 6749 section 2.3). Basic, unless its record or metadata says otherwise. */
const identify = (provider: Provider, server: oauth.AuthorizationServer) =>
  Effect.try({
    try: () => {
      const methods: unknown = server.token_endpoint_auth_methods_supported
      const basic =
        provider.clientAuthentication === undefined
          ? !Array.isArray(methods) || methods.includes("client_secret_basic")
          : provider.clientAuthentication === "basic"
      const auth = Option.match(provider.secret, {
        onNone: () => oauth.None(),
        onSome: (secret) => (basic ? oauth.ClientSecretBasic : oauth.ClientSecretPost)(Redacted.value(secret)),
      })
      return { client: { client_id: provider.clientId }, auth }
    },
    catch: () => ProviderFailure.misconfigured(provider.name, "its client id or secret is empty"),
  })

const challengeOf = (verifier: string) =>
  Effect.map(
    Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier)),
    (challenge) => ({ code_challenge: challenge, code_challenge_method: "S256" }),
  )

const successOf = (provider: Provider, reply: Reply): Effect.Effect<JsonObject, ProviderFailure> =>
  reply._tag === "Success"
    ? Effect.succeed(Redacted.value(reply.body))
    : Effect.fail(ProviderCall.failureOf(provider, reply.means))

/** A refresh may have spent the old refresh token: a new one is kept, also if there is no access token beside it. */
const withoutAccessToken = Effect.fnUntraced(function* (provider: Provider, reply: Reply) {
  const { access_token: accessToken, refresh_token: refreshToken } = yield* successOf(provider, reply)
  const isRefreshTokenOnly =
    (typeof accessToken !== "string" || accessToken === "") &&
    typeof refreshToken === "string" &&
    refreshToken.trim() !== ""
  return isRefreshTokenOnly ? Option.some<RefreshedToken>({ refreshToken: Redacted.make(refreshToken) }) : Option.none()
})

const rejection = (error: unknown, callback: URLSearchParams, state: string): CallbackRejected | GrantDenied => {
  if (error instanceof oauth.AuthorizationResponseError) {
    return error.error === "access_denied"
      ? new GrantDenied()
      : new CallbackRejected({ what: "an error from the provider" })
  }
  return new CallbackRejected({
    what: callback.get("state") === state ? "another issuer" : "another login's state",
  })
}
