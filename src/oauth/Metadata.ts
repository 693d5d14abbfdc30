/**
 * Where a provider's endpoints are: from its record, or discovered from its issuer (OpenID Connect Discovery 1.0, then
 * RFC 8414), with the issuer in the answer checked against the one asked.
 */
import { Clock, Context, Duration, Effect, Layer, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import type { Provider } from "./Provider.ts"
import { type Answer, ProviderFetch } from "./ProviderFetch.ts"
import { classify, ProviderFailure } from "./ProviderFailure.ts"
import * as SecureUrl from "./SecureUrl.ts"

/** How long discovered metadata is believed. Refreshing a token must not cost two requests each time. */
const timeToLive = Duration.toMillis("1 hour")

/** The metadata of a provider, as oauth4webapi wants it. */
export class Metadata extends Context.Service<
  Metadata,
  {
    readonly of: (provider: Provider) => Effect.Effect<oauth.AuthorizationServer, ProviderFailure>
  }
>()("tokenkeep/oauth/Metadata") {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const fetch = yield* ProviderFetch
      const known = new Map<string, { readonly metadata: oauth.AuthorizationServer; readonly until: number }>()

      const ofIssuer = Effect.fnUntraced(function* (provider: Provider, issuer: string) {
        const now = yield* Clock.currentTimeMillis
        const cached = known.get(issuer)
        if (cached !== undefined && now < cached.until) return cached.metadata
        const metadata = yield* discover(fetch, provider, issuer)
        known.set(issuer, { metadata, until: now + timeToLive })
        return metadata
      })

      return Metadata.of({
        of: Effect.fn("Metadata.of")(function* (provider) {
          if (provider.endpoints !== undefined) return fromRecord(provider, provider.endpoints)
          if (provider.issuer !== undefined) return yield* ofIssuer(provider, provider.issuer)
          return yield* misconfigured(provider, "its record has neither issuer nor endpoints")
        }),
      })
    }),
  )
}

/** The endpoint, checked: metadata is not allowed to send secrets over plain http, nor browsers anywhere odd. */
export const endpoint = (
  provider: Provider,
  server: oauth.AuthorizationServer,
  name: "authorization_endpoint" | "token_endpoint" | "device_authorization_endpoint" | "revocation_endpoint",
): Effect.Effect<URL, ProviderFailure> => {
  const declared = server[name]
  if (declared === undefined)
    return misconfigured(provider, `it has no ${name.replaceAll("_", " ")}${fieldOf(provider, name)}`)
  // Discovered metadata does not get to choose a program on this machine, unless the issuer is one.
  const mayBeLocal = provider.endpoints !== undefined || server.issuer.startsWith("http:")
  const url = Option.filter(SecureUrl.parse(declared), ({ protocol }) => protocol === "https:" || mayBeLocal)
  return Option.match(url, {
    onNone: () => misconfigured(provider, `its ${name.replaceAll("_", " ")} is not an https URL`),
    onSome: Effect.succeed,
  })
}

/** Where to say it, if it is not its metadata that does not. */
const fieldOf = ({ endpoints }: Provider, name: keyof typeof fields) =>
  endpoints === undefined ? "" : `, which is said in endpoints.${fields[name]}`

const fields = {
  authorization_endpoint: "authorization",
  token_endpoint: "token",
  device_authorization_endpoint: "deviceAuthorization",
  revocation_endpoint: "revocation",
} as const

const misconfigured = (provider: Provider, what: string) =>
  Effect.fail(ProviderFailure.misconfigured(provider.name, what))

const fromRecord = (provider: Provider, endpoints: NonNullable<Provider["endpoints"]>): oauth.AuthorizationServer => ({
  issuer: provider.issuer ?? new URL(endpoints.token).origin,
  token_endpoint: endpoints.token,
  ...(provider.issuerInAnswer === true && { authorization_response_iss_parameter_supported: true }),
  ...(endpoints.authorization !== undefined && { authorization_endpoint: endpoints.authorization }),
  ...(endpoints.deviceAuthorization !== undefined && { device_authorization_endpoint: endpoints.deviceAuthorization }),
  ...(endpoints.revocation !== undefined && { revocation_endpoint: endpoints.revocation }),
})

const discover = Effect.fnUntraced(function* (fetch: ProviderFetch["Service"], provider: Provider, issuer: string) {
  const oidc = yield* ask(fetch, provider, issuer, "oidc")
  const answer = isNotThere(oidc) ? yield* ask(fetch, provider, issuer, "oauth2") : oidc
  if (answer.status !== 200) {
    const reason = classify(answer.status, undefined, Option.none())
    return yield* new ProviderFailure({ provider: provider.name, reason })
  }
  const json = Option.getOrNull(Option.map(answer.json, Redacted.value))
  return yield* Effect.tryPromise(() => oauth.processDiscoveryResponse(new URL(issuer), Response.json(json))).pipe(
    Effect.catch(() => misconfigured(provider, "its metadata is malformed, or names another issuer")),
  )
})

/** Servers say in many ways that they have no such document: a refusal, a redirect, a page for people. */
const isNotThere = ({ json, status }: Answer): boolean =>
  (status >= 300 && status < 500 && status !== 429) || (status === 200 && Option.isNone(json))

const ask = (fetch: ProviderFetch["Service"], provider: Provider, issuer: string, algorithm: "oidc" | "oauth2") => {
  const path = (url: URL) => {
    const at = url.pathname === "/" ? "" : url.pathname.replace(/\/$/, "")
    url.pathname =
      algorithm === "oidc" ? `${at}/.well-known/openid-configuration` : `/.well-known/oauth-authorization-server${at}`
    return url.href
  }
  return fetch
    .send(path(new URL(issuer)), { headers: { accept: "application/json" } })
    .pipe(Effect.mapError(({ what }) => ProviderFailure.transient(provider.name, what)))
}
