/**
 * Answers of providers, brought into the shape that the RFCs give them, and then into ours.
 *
 * Vendors depart from the RFCs in small ways. Where it is clear what is meant it is taken, because the answer to a
 * refresh may be the only copy of a new refresh token.
 */
import { DateTime, Duration, Option, Redacted, Schema } from "effect"
import type { TokenEndpointResponse } from "oauth4webapi"
import type { StoredToken } from "../domain/Token.ts"
import { claimsOf } from "./JwtClaims.ts"
import type { Provider } from "./Provider.ts"
import { isShallow, type JsonObject, numberIn } from "./JsonObject.ts"
import type { ProviderRecord } from "./ProviderRecord.ts"

const isStrings = Schema.is(Schema.Array(Schema.String))

/**
 * The body as RFC 6749 section 5.1 wants it. A refresh may already have spent the old token when we read its answer, so
 * what can be understood is: an empty refresh token or an impossible lifetime is left out, a missing type is bearer.
 *
 * What is nested too deep to be written again is left out.
 *
 * Set aside are the ID token, unverified, because nobody here relies on what it claims, and the type, because vendors
 * have called their bearer tokens many things.
 */
export const tokenShape = (answer: JsonObject, expiry: ProviderRecord["expiry"], receivedAt: DateTime.Utc) => {
  const { expires_in, id_token, refresh_token, scope, token_type, ...rest } = answer
  const seconds = lifetimeOf(answer, expiry, receivedAt) ?? numberIn(expires_in)
  const scopes = isStrings(scope) ? scope.join(" ") : scope
  return {
    idToken: id_token,
    tokenType: typeof token_type === "string" && token_type.trim() !== "" ? token_type.trim() : "bearer",
    body: {
      ...Object.fromEntries(Object.entries(rest).filter(([, value]) => isShallow(value))),
      token_type: "bearer",
      ...(typeof refresh_token === "string" && refresh_token.trim() !== "" && { refresh_token }),
      ...(seconds !== undefined && { expires_in: Math.max(0, seconds) }),
      ...(typeof scopes === "string" && { scope: scopes }),
    },
  }
}

/** For how many seconds the access token is good, by what the provider's record says to look at. */
const lifetimeOf = (answer: JsonObject, expiry: ProviderRecord["expiry"], receivedAt: DateTime.Utc) => {
  if (expiry === "refresh_in") return numberIn(answer["refresh_in"])
  if (expiry !== "jwt" || typeof answer["access_token"] !== "string") return undefined
  const claims = Option.getOrElse(claimsOf(answer["access_token"]), (): JsonObject => ({}))
  const [expires, issued] = [numberIn(claims["exp"]), numberIn(claims["iat"])]
  if (expires === undefined) return undefined
  // A token that is issued in the future was issued now, by a clock that is ahead of ours.
  return expires - Math.max(DateTime.toEpochMillis(receivedAt) / 1000, issued ?? 0)
}

/** How long a device code is believed to live if the answer does not say so, as it must, in seconds. */
const defaultDeviceLifetime = 600

/** The body as RFC 8628 section 3.2 wants it. Never polled more than once a second, whatever it says. */
export const deviceShape = (
  { expires_in, interval, verification_uri, verification_uri_complete, verification_url, ...rest }: JsonObject,
  departure: NonNullable<ProviderRecord["device"]>,
) => {
  const asked = numberIn(interval)
  const seconds = asked !== undefined && asked > 0 ? asked : departure.interval
  const lifetime = numberIn(expires_in)
  return {
    ...rest,
    // Google wrote it so before there was an RFC.
    verification_uri: verification_uri ?? verification_url ?? departure.verificationUri,
    expires_in: lifetime !== undefined && lifetime > 0 ? lifetime : (departure.lifetime ?? defaultDeviceLifetime),
    ...(seconds !== undefined && seconds > 0 && { interval: Math.max(1, seconds) }),
    ...(typeof verification_uri_complete === "string" &&
      verification_uri_complete !== "" && { verification_uri_complete }),
  }
}

/** The new interval that comes with a `slow_down` of GitHub's. */
export const askedInterval = ({ interval }: JsonObject): { readonly interval?: Duration.Duration } => {
  const seconds = numberIn(interval)
  return seconds !== undefined && seconds > 0 ? { interval: Duration.seconds(Math.min(seconds, 300)) } : {}
}

/** Ten years: beyond any real lifetime, and far from where dates overflow. */
const longestLifetime = Duration.days(3652)

const isJson = Schema.is(Schema.Json)

/** The token in an answer that oauth4webapi has checked, and what was set aside of it. */
export const tokenFrom = (
  { access_token, expires_in, refresh_token, scope, ...rest }: TokenEndpointResponse,
  { idToken, tokenType }: { readonly idToken: unknown; readonly tokenType: string },
  receivedAt: DateTime.Utc,
) => {
  const fields: ReadonlyArray<readonly [string, unknown]> = Object.entries({ ...rest, id_token: idToken })
  const extras = fields.filter(
    (field): field is readonly [string, Schema.Json] =>
      field[0] !== "token_type" && isShallow(field[1]) && isJson(field[1]),
  )
  return {
    accessToken: Redacted.make(access_token),
    tokenType: tokenType.toLowerCase(),
    ...(refresh_token !== undefined && { refreshToken: Redacted.make(refresh_token) }),
    ...(expires_in !== undefined && {
      expiresAt: DateTime.addDuration(receivedAt, Duration.min(Duration.seconds(expires_in), longestLifetime)),
    }),
    ...(scope !== undefined && { scope }),
    extras: Redacted.make(Object.fromEntries(extras)),
  }
}

/** RFC 6749 section 5.1: the scope may be left out if it is the one that was asked for. */
export const toStored = (provider: Provider, token: ReturnType<typeof tokenFrom>): StoredToken => ({
  ...(provider.scopes.length > 0 && { scope: provider.scopes.join(" ") }),
  ...token,
})
