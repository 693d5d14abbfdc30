/**
 * What we say to a provider, and what its answers mean: the one place that speaks OAuth.
 *
 * oauth4webapi builds each request and checks each answer; sending is ours, so that limits, interruption and the clock
 * are Effect's. Secrets of a grant (verifier, device code) live in the closures that are returned, and nowhere else.
 */
import { Context, DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { AuthorizationPending, SlowDown } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import type { RefreshedToken, StoredToken } from "../domain/Token.ts"
import { CallbackRejected, GrantDenied, GrantExpired } from "./GrantFailure.ts"
import { endpoint, Metadata } from "./Metadata.ts"
import type { Provider } from "./Provider.ts"
import { type Answer, type JsonObject, ProviderFetch } from "./ProviderFetch.ts"
import { classify, ProviderFailure } from "./ProviderFailure.ts"
import { deviceShape, tokenFrom, tokenShape, toStored } from "./ResponseShape.ts"
import { retryAfter } from "./RetryAfter.ts"
import * as SecureUrl from "./SecureUrl.ts"

/** An authorization code grant with PKCE, begun (RFC 6749 section 4.1, RFC 7636 with S256). */
export interface CodeGrant {
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
  /** Sends the refresh token, once. */
  readonly redeem: (refreshToken: Redacted.Redacted) => Effect.Effect<RefreshedToken, ProviderFailure>
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
  }
>()("tokenkeep/oauth/OAuthClient") {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const metadata = yield* Metadata
      const fetch = yield* ProviderFetch

      /** Builds a request with oauth4webapi and sends it. */
      const ask = Effect.fnUntraced(function* (
        provider: Provider,
        build: (options: oauth.TokenEndpointRequestOptions) => Promise<unknown>,
      ) {
        const [url, init] = yield* Effect.tryPromise({
          try: () => capture(build),
          catch: () => ProviderFailure.misconfigured(provider.name, "its metadata and its record do not go together"),
        })
        return yield* fetch
          .send(url, init)
          .pipe(Effect.mapError(({ what }) => ProviderFailure.transient(provider.name, what)))
      })

      /** The token in an answer of the token endpoint. */
      const tokenOf = Effect.fnUntraced(function* (
        provider: Provider,
        answer: Answer,
        process: (response: Response) => Promise<oauth.TokenEndpointResponse>,
      ) {
        yield* checked(provider, answer)
        const receivedAt = yield* DateTime.now
        const { body, idToken, tokenType } = tokenShape(bodyOf(answer))
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
          yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const verifier = oauth.generateRandomCodeVerifier()
          const state = oauth.generateRandomState()
          const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier))
          authorization.searchParams.set("response_type", "code")
          authorization.searchParams.set("client_id", provider.clientId)
          authorization.searchParams.set("redirect_uri", redirectUri)
          authorization.searchParams.set("state", state)
          authorization.searchParams.set("code_challenge", challenge)
          authorization.searchParams.set("code_challenge_method", "S256")
          if (provider.scopes.length > 0) authorization.searchParams.set("scope", provider.scopes.join(" "))
          // OpenID Connect Core section 11: offline access needs the person's consent to be asked for.
          if (provider.scopes.includes("offline_access")) authorization.searchParams.set("prompt", "consent")

          return {
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
              const answer = yield* ask(provider, (options) =>
                oauth.authorizationCodeGrantRequest(server, client, auth, validated, redirectUri, verifier, options),
              )
              const token = yield* tokenOf(provider, answer, (response) =>
                oauth.processAuthorizationCodeResponse(server, client, response),
              )
              return toStored(provider, token)
            }),
          }
        }),

        beginDevice: Effect.fn("OAuthClient.beginDevice")(function* (provider) {
          const server = yield* metadata.of(provider)
          yield* endpoint(provider, server, "device_authorization_endpoint")
          yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          const parameters = { scope: provider.scopes.join(" ") }
          const answer = yield* ask(provider, (options) =>
            oauth.deviceAuthorizationRequest(server, client, auth, parameters, options),
          )
          yield* checked(provider, answer)
          const malformed = ProviderFailure.transient(provider.name, "malformed-answer")
          const device = yield* Effect.tryPromise({
            try: () =>
              oauth.processDeviceAuthorizationResponse(server, client, Response.json(deviceShape(bodyOf(answer)))),
            catch: () => malformed,
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
            poll: Effect.gen(function* () {
              const answer = yield* ask(provider, (options) =>
                oauth.deviceCodeGrantRequest(server, client, auth, device.device_code, options),
              )
              const code = Option.getOrUndefined(errorCode(answer))
              if (code === "authorization_pending") return yield* AuthorizationPending.make({})
              if (code === "slow_down") return yield* SlowDown.make({})
              if (code === "access_denied") return yield* new GrantDenied()
              if (code === "expired_token") return yield* new GrantExpired()
              const token = yield* tokenOf(provider, answer, (response) =>
                oauth.processDeviceCodeResponse(server, client, response),
              )
              return toStored(provider, token)
            }).pipe(Effect.withSpan("DeviceGrant.poll")),
          }
        }),

        beginRefresh: Effect.fn("OAuthClient.beginRefresh")(function* (provider) {
          const server = yield* metadata.of(provider)
          yield* endpoint(provider, server, "token_endpoint")
          const { auth, client } = yield* identify(provider, server)
          return {
            redeem: Effect.fn("RefreshGrant.redeem")(function* (refreshToken) {
              const answer = yield* ask(provider, (options) =>
                oauth.refreshTokenGrantRequest(server, client, auth, Redacted.value(refreshToken), options),
              )
              return yield* tokenOf(provider, answer, (response) =>
                oauth.processRefreshTokenResponse(server, client, response),
              )
            }),
          }
        }),
      })
    }),
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(Metadata.layerNoDeps), Layer.provide(ProviderFetch.layer))
}

/** Who we are to the provider (RFC 6749 section 2.3). Basic unless the metadata lists only other methods. */
const identify = (provider: Provider, server: oauth.AuthorizationServer) =>
  Effect.try({
    try: () => {
      const methods: unknown = server.token_endpoint_auth_methods_supported
      const basic = !Array.isArray(methods) || methods.includes("client_secret_basic")
      const auth = Option.match(provider.secret, {
        onNone: () => oauth.None(),
        onSome: (secret) => (basic ? oauth.ClientSecretBasic : oauth.ClientSecretPost)(Redacted.value(secret)),
      })
      return { client: { client_id: provider.clientId }, auth }
    },
    catch: () => ProviderFailure.misconfigured(provider.name, "its client id or secret is empty"),
  })

/** The request that `build` would have sent. Endpoints were checked before, also against plain http. */
const capture = (
  build: (options: oauth.TokenEndpointRequestOptions) => Promise<unknown>,
): Promise<readonly [url: string, init: RequestInit]> => {
  const { promise, resolve } = Promise.withResolvers<readonly [string, RequestInit]>()
  const built = build({
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url, { body, headers, method }) => {
      resolve([url, { body, headers, method }])
      return Promise.resolve(Response.json({}))
    },
  })
  return built.then(() => promise)
}

const bodyOf = (answer: Answer): JsonObject => Option.match(answer.json, { onNone: () => ({}), onSome: Redacted.value })

const errorCode = (answer: Answer): Option.Option<string> => {
  const code = bodyOf(answer)["error"]
  return typeof code === "string" && code !== "" ? Option.some(code) : Option.none()
}

const failure = Effect.fnUntraced(function* (
  provider: Provider,
  { headers, status }: Answer,
  code: Option.Option<string>,
) {
  const wait = retryAfter(headers, yield* DateTime.now)
  const reason = classify(status, Option.getOrUndefined(code), wait)
  return yield* new ProviderFailure({ provider: provider.name, reason })
})

/** Vendors have answered 200 with an error in the body; beside a token it means nothing. */
const checked = Effect.fnUntraced(function* (provider: Provider, answer: Answer) {
  const code = "access_token" in bodyOf(answer) ? Option.none() : errorCode(answer)
  const isSuccess = answer.status >= 200 && answer.status < 300
  if (isSuccess && Option.isNone(code)) return
  return yield* failure(provider, isSuccess ? { ...answer, status: 400 } : answer, code)
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
