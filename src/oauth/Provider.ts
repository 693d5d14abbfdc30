/**
 * A provider as data: where it is, who we are to it, and which flows it offers.
 *
 * The record never holds a secret, only where to find one.
 */
import { Effect, type Option, type Redacted, Schema } from "effect"
import type { Granter } from "../domain/AccountRecord.ts"
import { FlowType } from "../domain/Session.ts"
import { reservedFields } from "../domain/Token.ts"
import { SecureUrl } from "./SecureUrl.ts"

/** Where to find a client secret. Read anew whenever it is needed, kept nowhere. */
export const SecretReference = Schema.Union([
  Schema.Struct({ env: Schema.NonEmptyString }),
  Schema.Struct({ file: Schema.NonEmptyString }),
])
export type SecretReference = typeof SecretReference.Type

/** Endpoints of a provider that publishes no metadata (RFC 8414 names). */
export const Endpoints = Schema.Struct({
  authorization: Schema.optionalKey(SecureUrl),
  token: SecureUrl,
  deviceAuthorization: Schema.optionalKey(SecureUrl),
})

const PublicField = Schema.NonEmptyString.check(
  Schema.makeFilter((name) => !reservedFields.includes(name) || `the field ${name} is never public`),
)

/** What the configuration says of one provider. */
export const ProviderRecord = Schema.Struct({
  /** Metadata is discovered from here (OpenID Connect Discovery, RFC 8414), unless `endpoints` are given. */
  issuer: Schema.optionalKey(SecureUrl),
  endpoints: Schema.optionalKey(Endpoints),
  clientId: Schema.NonEmptyString,
  clientSecret: Schema.optionalKey(SecretReference),
  scopes: Schema.Array(Schema.NonEmptyString),
  /** In order of preference. */
  flows: Schema.NonEmptyArray(FlowType),
  /** As registered. A loopback one without port listens on any free port (RFC 8252 section 7.3). */
  redirectUris: Schema.Array(SecureUrl).pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed([]))),
  /** Extra fields of the token response that may leave the host. */
  publicFields: Schema.Array(PublicField).pipe(
    Schema.withDecodingDefaultTypeKey(Effect.succeed(["account_id", "resource_url"])),
  ),
}).check(
  Schema.makeFilter(
    ({ endpoints, issuer }) => issuer !== undefined || endpoints !== undefined || "give an issuer or the endpoints",
  ),
)
export type ProviderRecord = typeof ProviderRecord.Type

/** Who gives what such a provider grants. */
export const granterOf = ({ clientId, endpoints, issuer }: ProviderRecord): Granter => ({
  server: endpoints?.token ?? issuer ?? "",
  clientId,
})

/** A provider ready to be spoken to. */
export interface Provider extends ProviderRecord {
  readonly name: string
  readonly secret: Option.Option<Redacted.Redacted>
}
