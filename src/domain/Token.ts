/**
 * The two kinds of token.
 *
 * {@link StoredToken} is what the host keeps. {@link PublicToken} is what may leave, and has no place for a refresh
 * token: handing one out is not a forgotten call but a type error.
 */
import { DateTime, Duration, Option, Redacted, Schema } from "effect"
import { reservedFields } from "./ReservedFields.ts"
import { scopesIn } from "./ScopeText.ts"

/** A secret: redacted as soon as it is decoded, written in clear only by the store and the reply encoder. */
export const Secret = Schema.RedactedFromValue(Schema.NonEmptyString)

/** Further fields of a token response, e.g. `account_id`. They may be secret (`id_token`), so they are redacted too. */
export const Extras = Schema.RedactedFromValue(Schema.Record(Schema.String, Schema.Json))

/** What the host keeps of one login (RFC 6749 section 5.1, with absolute expiry). */
export const StoredToken = Schema.Struct({
  accessToken: Secret,
  refreshToken: Schema.optionalKey(Secret),
  /** Local receipt time plus `expires_in`; absent where the provider names none. */
  expiresAt: Schema.optionalKey(Schema.DateTimeUtcFromString),
  /** Space-separated scopes, as granted. */
  scope: Schema.optionalKey(Schema.String),
  tokenType: Schema.String,
  extras: Extras,
})
export type StoredToken = typeof StoredToken.Type

/** What a refresh brings: like a stored token, but fields may be absent or explicitly undefined. */
export interface RefreshedToken {
  /** Absent where a vendor answers with nothing but what is new, and the old one is still good. */
  readonly accessToken?: Redacted.Redacted | undefined
  readonly refreshToken?: Redacted.Redacted | undefined
  readonly expiresAt?: DateTime.Utc | undefined
  readonly scope?: string | undefined
  readonly tokenType?: string | undefined
  readonly extras?: typeof Extras.Type | undefined
}

/** What may leave the host. */
export interface PublicToken {
  readonly accessToken: Redacted.Redacted
  readonly expiresAt?: DateTime.Utc
  readonly scope?: string
  readonly tokenType: string
  /** Only fields that the provider's record lists as public. */
  readonly extras: { readonly [name: string]: Schema.Json }
}

export { reservedFields }

/** The public part of a token; of its extra fields only the named ones, and never a reserved one. */
export const toPublic = (token: StoredToken, publicFields: ReadonlyArray<string>): PublicToken => {
  const extras = Redacted.value(token.extras)
  const allowed = publicFields.filter((name) => Object.hasOwn(extras, name) && !reservedFields.includes(name))
  return {
    accessToken: token.accessToken,
    tokenType: token.tokenType,
    ...(token.expiresAt !== undefined && { expiresAt: token.expiresAt }),
    ...(token.scope !== undefined && { scope: token.scope }),
    extras: Object.fromEntries(allowed.map((name) => [name, extras[name] ?? null])),
  }
}

const isEmpty = (secret: Redacted.Redacted | undefined): secret is undefined =>
  secret === undefined || Redacted.value(secret) === ""

/**
 * The token to keep after a refresh: access token and expiry are the new ones, the refresh token only if a non-empty one
 * came (RFC 6749 section 6: otherwise the old one stays good), other fields if present.
 */
export const mergeRefreshed = (stored: StoredToken, refreshed: RefreshedToken): StoredToken => {
  const refreshToken = isEmpty(refreshed.refreshToken) ? stored.refreshToken : refreshed.refreshToken
  const scope = refreshed.scope ?? stored.scope
  const { accessToken, expiresAt } = refreshed.accessToken === undefined ? stored : refreshed
  return {
    accessToken: accessToken ?? stored.accessToken,
    tokenType: refreshed.tokenType ?? stored.tokenType,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(scope !== undefined && { scope }),
    extras:
      refreshed.extras === undefined
        ? stored.extras
        : Redacted.make({ ...Redacted.value(stored.extras), ...Redacted.value(refreshed.extras) }),
  }
}

/** Whether the access token is still valid for at least `minimumValidity` after `now`. Without expiry it always is. */
export const isFresh = (
  token: { readonly expiresAt?: DateTime.Utc },
  now: DateTime.Utc,
  minimumValidity: Duration.Input = Duration.zero,
): boolean =>
  token.expiresAt === undefined || DateTime.isGreaterThan(token.expiresAt, DateTime.addDuration(now, minimumValidity))

/** As {@link isFresh}: whether it is still valid after an instant, in epoch milliseconds. */
export const isFreshAt = ({ expiresAt }: { readonly expiresAt?: DateTime.Utc }, instant: number): boolean =>
  expiresAt === undefined || DateTime.toEpochMillis(expiresAt) > instant

/** A description of a stored token that is safe to print. */
export interface TokenSnapshot {
  /** First and last four characters, or nothing of a token too short to hide the rest. */
  readonly accessToken: string
  readonly expiresAt: Option.Option<DateTime.Utc>
  readonly scopes: ReadonlyArray<string>
  readonly refreshable: boolean
}

const mask = (secret: string): string => (secret.length < 16 ? "…" : `${secret.slice(0, 4)}…${secret.slice(-4)}`)

/** The snapshot of a token. */
export const snapshot = (token: {
  readonly accessToken: Redacted.Redacted
  readonly refreshToken?: Redacted.Redacted
  readonly expiresAt?: DateTime.Utc
  readonly scope?: string
}): TokenSnapshot => ({
  accessToken: mask(Redacted.value(token.accessToken)),
  expiresAt: Option.fromUndefinedOr(token.expiresAt),
  scopes: scopesIn(token.scope),
  refreshable: token.refreshToken !== undefined,
})
