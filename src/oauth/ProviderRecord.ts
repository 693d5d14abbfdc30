/**
 * A provider as data: where it is, who we are to it, which flows it offers, and how it departs from the RFCs.
 *
 * The record never holds a secret, only where to find one. What it leaves out is as the RFCs have it. Where data cannot
 * say it, a `Dialect` does.
 */
import { Effect, Schema } from "effect"
import { FlowType } from "../domain/Session.ts"
import { reservedFields } from "../domain/Token.ts"
import { SecureUrl } from "./SecureUrl.ts"

/** Where to find a client secret. Read anew whenever it is needed, kept nowhere. */
export const SecretReference = Schema.Union([
  Schema.Struct({ env: Schema.NonEmptyString }),
  Schema.Struct({ file: Schema.NonEmptyString }),
]).annotate({ message: 'expected where the secret is, {"env": NAME} or {"file": PATH}, never the secret itself' })
export type SecretReference = typeof SecretReference.Type

/** Endpoints of a provider that publishes no metadata (RFC 8414 names). */
export const Endpoints = Schema.Struct({
  authorization: Schema.optionalKey(SecureUrl),
  token: SecureUrl,
  deviceAuthorization: Schema.optionalKey(SecureUrl),
  /** Where a device code is asked for, if not at `token`. */
  devicePoll: Schema.optionalKey(SecureUrl),
  /** RFC 7009. */
  revocation: Schema.optionalKey(SecureUrl),
  /** Where a token is traded once more for the one that is used, by the dialect. */
  secondExchange: Schema.optionalKey(SecureUrl),
})

/** What a request is for: a device code, one poll for it, the exchange of a code, a refresh, a revocation. */
export const Call = Schema.Literals(["device", "poll", "exchange", "refresh", "revoke"])
export type Call = typeof Call.Type

/** How the body of a request is written. RFC 6749 appendix B asks for `form`. */
export const BodyEncoding = Schema.Literals(["form", "json"])
export type BodyEncoding = typeof BodyEncoding.Type

/**
 * What a refusal means. `relogin` ends the login; `refused` is about this client, account or request; of a device code
 * `pending`, `slow_down`, `denied` and `expired` are those of RFC 8628 section 3.5.
 */
export const Meaning = Schema.Literals([
  "relogin",
  "refused",
  "rate_limited",
  "trouble",
  "moved",
  "pending",
  "slow_down",
  "denied",
  "expired",
])
export type Meaning = typeof Meaning.Type

/** One departure in the errors. All that is given must fit; codes are compared without regard to case. */
export const ErrorRule = Schema.Struct({
  calls: Schema.optionalKey(Schema.NonEmptyArray(Call)),
  status: Schema.optionalKey(Schema.Int),
  code: Schema.optionalKey(Schema.NonEmptyString),
  means: Meaning,
})
export type ErrorRule = typeof ErrorRule.Type

/** A header's name, as RFC 9110 section 5.1 has it. */
const isHeaderName = (name: string) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)
const HeaderName = Schema.String.check(
  Schema.makeFilter((name) => isHeaderName(name) || "expected the name of a header"),
)

/** A record whose keys are checked. A schema of keys would leave out those that do not fit, without a word. */
const byName = <V extends Schema.Constraint>(value: V, wrong: (name: string) => string | undefined) =>
  Schema.Record(Schema.String, value).check(
    Schema.makeFilter(
      (record) =>
        Object.keys(record)
          .map(wrong)
          .find((what) => what !== undefined) ?? true,
    ),
  )
const byHeader = <V extends Schema.Constraint>(value: V) =>
  byName(value, (name) => (isHeaderName(name) ? undefined : `${JSON.stringify(name)} is not the name of a header`))
const HeaderValue = Schema.String.check(
  Schema.makeFilter((value) => /^[\t\x20-\x7e]*$/.test(value) || "expected printable ASCII"),
)
const Headers = byHeader(HeaderValue)

/** A host, or all under one: `api.example`, `*.api.example`. */
const HostPattern = Schema.String.check(
  Schema.makeFilter(
    (text) =>
      /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$/.test(text) ||
      "expected a host name in lower case, like api.example or *.api.example",
  ),
)

/** How the provider's API is used with its tokens. */
export const Api = Schema.Struct({
  /** What relative addresses of requests are relative to. */
  baseUrl: Schema.optionalKey(SecureUrl),
  /** The field of the token's extras that says so instead, where the token does and it is on one of `hosts`. */
  baseUrlField: Schema.optionalKey(Schema.NonEmptyString),
  /** The hosts that may see a token; the one of `baseUrl` may too. A port is the default one unless it is named. */
  hosts: Schema.optionalKey(Schema.Array(HostPattern)),
  /** Headers that are set. `Authorization` is not among them. */
  headers: Schema.optionalKey(Headers),
  /** Headers whose value is a field of the token's extras, left out where there is none. */
  headersFromFields: Schema.optionalKey(byHeader(Schema.NonEmptyString)),
  /** Values that a header which is a list must have, besides those that it has. */
  mergedHeaders: Schema.optionalKey(byHeader(Schema.NonEmptyArray(HeaderValue))),
  /** Headers that must not be sent. */
  removedHeaders: Schema.optionalKey(Schema.Array(HeaderName)),
})
export type Api = typeof Api.Type

/** How a device code departs from RFC 8628. */
export const DeviceDeparture = Schema.Struct({
  /** `S256`: a challenge goes with the request, the verifier with each poll. `server-made`: the verifier comes back. */
  pkce: Schema.optionalKey(Schema.Literals(["none", "S256", "server-made"])),
  /** Where a person enters the code, if the answer does not say so. */
  verificationUri: Schema.optionalKey(SecureUrl),
  /** Of the code that a poll brings instead of a token. */
  redirectUri: Schema.optionalKey(SecureUrl),
  /** Between two polls in seconds, if the answer does not say so. Default: 5. */
  interval: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 }))),
  /** How long a code lives in seconds, if the answer does not say so. Default: 600. */
  lifetime: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 86_400 }))),
})

/** Parameters of the flow itself are not for a record to set; Anthropic has a `code` of its own. */
const protocolParameters: ReadonlySet<string> = new Set([
  "client_id",
  "client_secret",
  "code_challenge",
  "code_challenge_method",
  "code_verifier",
  "device_code",
  "grant_type",
  "redirect_uri",
  "refresh_token",
  "response_type",
  "state",
])
const Parameters = byName(Schema.String, (name) =>
  protocolParameters.has(name) ? `the parameter ${name} is set by the flow` : undefined,
)

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
  /** How a secret is shown (RFC 6749 section 2.3.1). By default `basic`, unless the metadata lists only others. */
  clientAuthentication: Schema.optionalKey(Schema.Literals(["basic", "post"])),
  scopes: Schema.Array(Schema.NonEmptyString),
  /** In order of preference. If one cannot be begun, the next one is. */
  flows: Schema.NonEmptyArray(FlowType),
  /** As registered. A loopback one without port listens on any free port (RFC 8252 section 7.3). */
  redirectUris: Schema.Array(SecureUrl).pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed([]))),
  /** Extra fields of the token response that may leave the host. */
  publicFields: Schema.Array(PublicField).pipe(
    Schema.withDecodingDefaultTypeKey(Effect.succeed(["account_id", "resource_url"])),
  ),
  /** What the authorization request says besides what the flow asks for. */
  authorizationParameters: Schema.optionalKey(Parameters),
  /** Whether what comes back from an authorization must name the issuer (RFC 9207 section 3). Needs no saying with metadata. */
  issuerInAnswer: Schema.optionalKey(Schema.Boolean),
  /** What the token is for (RFC 8707): said in every request for one. */
  resource: Schema.optionalKey(SecureUrl),
  /** Of the authorization code flows. Default: `S256`. */
  pkce: Schema.optionalKey(Schema.Literals(["none", "S256"])),
  /** Whether the exchange of a code names the state too. */
  stateInExchange: Schema.optionalKey(Schema.Boolean),
  /** What a person pastes: `code#state`, or a code in which `#` means nothing. An address is understood in any case. */
  pasted: Schema.optionalKey(Schema.Literals(["code#state", "code"])),
  device: Schema.optionalKey(DeviceDeparture),
  /** How the body of each call is written. Default: `form`. */
  bodies: Schema.optionalKey(
    Schema.Struct({
      device: Schema.optionalKey(BodyEncoding),
      poll: Schema.optionalKey(BodyEncoding),
      exchange: Schema.optionalKey(BodyEncoding),
      refresh: Schema.optionalKey(BodyEncoding),
      revoke: Schema.optionalKey(BodyEncoding),
    }),
  ),
  /** What the requests of all calls say in their headers. */
  headers: Schema.optionalKey(Headers),
  /** The first that fits says what an error means; if none does, its status and code do. */
  errors: Schema.optionalKey(Schema.Array(ErrorRule)),
  /**
   * What says how long an access token is good: the field of the answer with the seconds, or the token itself, as the
   * `exp` of a JWT (RFC 7519 section 4.1.4). If it says nothing, `expires_in` does.
   */
  expiry: Schema.optionalKey(Schema.Literals(["expires_in", "refresh_in", "jwt"])),
  api: Schema.optionalKey(Api),
  /** What a person should know before a login: terms of use, a service that has ended. */
  notice: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(1000))),
}).check(
  Schema.makeFilter(
    ({ endpoints, issuer }) => issuer !== undefined || endpoints !== undefined || "give an issuer or the endpoints",
  ),
)
export type ProviderRecord = typeof ProviderRecord.Type
