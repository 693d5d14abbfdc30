/**
 * The wire: what is asked, what is answered, and the code of every error. Spoken by the server and by our own client;
 * clients that were not written here speak it too, so names and codes are fixed.
 *
 * No schema in this file has a field for a refresh token, verifier, state or device code.
 */
import { DateTime, Duration, Effect, Option, Predicate, Redacted, Schema } from "effect"
import type { Broker, InitiatedLogin, LoginProgress } from "../broker/Broker.ts"
import { type Cancelled, type GrantNotFound, HostFailure, type QuestionNotFound } from "../domain/Errors.ts"
import { ApiKey } from "../domain/ApiKey.ts"
import type { BucketStats } from "../domain/BucketUsage.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import { Revocation } from "../domain/Revocation.ts"
import { type PublicToken, reservedFields, Secret } from "../domain/Token.ts"
import { FlowType } from "../domain/Session.ts"
import type { JsonObject } from "./Frame.ts"
import { never, versions } from "./WireLimits.ts"

// Handshake

export const Handshake = Schema.Struct({
  v: Schema.Literal(1),
  op: Schema.Literal("handshake"),
  payload: Schema.Struct({
    minVersion: Schema.Unknown,
    maxVersion: Schema.Unknown,
    /** Whatever is no text is no capability that anybody has: it is refused as a wrong one. */
    capabilityToken: Schema.optionalKey(
      Schema.RedactedFromValue(Schema.String).pipe(Schema.catchDecoding(() => Effect.succeedSome(Redacted.make("")))),
    ),
  }),
})

/** The highest version that both sides allow. None if there is none, or if the bounds are not bounds. */
export const negotiate = (bounds: {
  readonly minVersion: unknown
  readonly maxVersion: unknown
}): Option.Option<1 | 2> => {
  const { maxVersion, minVersion } = bounds
  const allowed = (version: number) =>
    Number.isSafeInteger(minVersion) &&
    Number.isSafeInteger(maxVersion) &&
    Predicate.isNumber(minVersion) &&
    Predicate.isNumber(maxVersion) &&
    minVersion <= version &&
    version <= maxVersion
  return Option.fromUndefinedOr(versions.find(allowed))
}

// Requests and replies

/** A request, before its operation has looked at what it carries. */
export interface Request extends JsonObject {
  readonly v: 1 | 2
  readonly id: string
  readonly op: string
  readonly payload: JsonObject
}

/** Whether a request can be answered at all. */
export const isId = (id: unknown): id is string => typeof id === "string" && id.length >= 1 && id.length <= 128

/** Whether a frame is a request. Written by hand: it is asked of every frame, and a schema takes ten times as long. */
export const isRequest = (frame: JsonObject): frame is Request =>
  (frame["v"] === 1 || frame["v"] === 2) &&
  isId(frame["id"]) &&
  typeof frame["op"] === "string" &&
  Predicate.isObject(frame["payload"])

/** The codes of failed replies. */
export const WireCode = Schema.Literals([
  "INVALID_REQUEST",
  "UNAUTHORIZED",
  "FORBIDDEN",
  "NOT_FOUND",
  "PROVIDER_NOT_CONFIGURED",
  "PROVIDER_NOT_FOUND",
  "FLOW_INITIATION_FAILED",
  "EXCHANGE_FAILED",
  "POLL_FAILED",
  "SESSION_NOT_FOUND",
  "SESSION_ALREADY_USED",
  "SESSION_EXPIRED",
  "ACCESS_DENIED",
  "REFRESH_NOT_AVAILABLE",
  "REFRESH_FAILED",
  "REAUTH_REQUIRED",
  "RATE_LIMITED",
  "CANCELLED",
  "INTERNAL_ERROR",
  "UNKNOWN_VERSION",
])
export type WireCode = typeof WireCode.Type

export const Reply = Schema.Union([
  Schema.Struct({ id: Schema.String, ok: Schema.Literal(true), data: Schema.Record(Schema.String, Schema.Unknown) }),
  Schema.Struct({
    id: Schema.String,
    ok: Schema.Literal(false),
    code: Schema.String,
    error: Schema.String,
    retryAfter: Schema.optionalKey(Schema.Finite),
  }),
])

export const HandshakeReply = Schema.Union([
  Schema.Struct({ op: Schema.Literal("handshake"), ok: Schema.Literal(true), v: Schema.Literals([1, 2]) }),
  Schema.Struct({ op: Schema.Literal("handshake"), ok: Schema.Literal(false), code: Schema.String }),
])

// Errors

type ErrorOf<Method> = Method extends (...args: never) => Effect.Effect<infer _A, infer E, infer _R>
  ? E
  : Method extends Effect.Effect<infer _A, infer E, infer _R>
    ? E
    : never

type Methods = Broker["Service"]

/** Every error that a reply can carry: those of the broker and the grants, and the end of a request by `cancel`. */
export type WireError =
  | { [Name in keyof Methods]: ErrorOf<Methods[Name]> }[keyof Methods]
  | GrantNotFound
  | QuestionNotFound
  | Cancelled

/** The code of each error. Total: an error without a code does not compile. */
export const codes = {
  InvalidRequest: "INVALID_REQUEST",
  Unauthorized: "UNAUTHORIZED",
  PeerMismatch: "UNAUTHORIZED",
  Forbidden: "FORBIDDEN",
  TokenNotFound: "NOT_FOUND",
  ApiKeyNotFound: "NOT_FOUND",
  GrantNotFound: "NOT_FOUND",
  QuestionNotFound: "NOT_FOUND",
  ProviderNotConfigured: "PROVIDER_NOT_CONFIGURED",
  ProviderNotFound: "PROVIDER_NOT_FOUND",
  FlowInitiationFailed: "FLOW_INITIATION_FAILED",
  ExchangeFailed: "EXCHANGE_FAILED",
  PollFailed: "POLL_FAILED",
  SessionNotFound: "SESSION_NOT_FOUND",
  SessionUsed: "SESSION_ALREADY_USED",
  SessionExpired: "SESSION_EXPIRED",
  AccessDenied: "ACCESS_DENIED",
  RefreshNotAvailable: "REFRESH_NOT_AVAILABLE",
  RefreshFailed: "REFRESH_FAILED",
  ReauthRequired: "REAUTH_REQUIRED",
  RateLimited: "RATE_LIMITED",
  RefreshRateLimited: "RATE_LIMITED",
  LockBusy: "RATE_LIMITED",
  Cancelled: "CANCELLED",
  StoreCorrupt: "INTERNAL_ERROR",
  StoreNewer: "INTERNAL_ERROR",
  StoreUnavailable: "INTERNAL_ERROR",
  ConfigCorrupt: "INTERNAL_ERROR",
  SecretUnavailable: "INTERNAL_ERROR",
  HostFailure: "INTERNAL_ERROR",
  HostUnreachable: "INTERNAL_ERROR",
} as const satisfies Record<WireError["_tag"], WireCode>

/** The words for an error on the wire. The host's own trouble names paths of the host, so it is not repeated. */
export const wordsFor = (error: WireError): string =>
  codes[error._tag] === "INTERNAL_ERROR" ? HostFailure.make({}).message : error.message

// Tokens

/** A public token as it is on the wire, with the provider's public fields beside the standard ones. */
export const encodeToken = (token: PublicToken): JsonObject => ({
  ...Object.fromEntries(Object.entries(token.extras).filter(([name]) => !reservedFields.includes(name))),
  access_token: Redacted.value(token.accessToken),
  expiry: token.expiresAt === undefined ? never : Math.floor(DateTime.toEpochMillis(token.expiresAt) / 1000),
  token_type: token.tokenType,
  ...(token.scope !== undefined && { scope: token.scope }),
})

const StandardFields = Schema.Struct({
  access_token: Secret,
  expiry: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: never }))),
  token_type: Schema.optionalKey(Schema.String),
  scope: Schema.optionalKey(Schema.String),
})
const decodeStandardFields = Schema.decodeUnknownOption(StandardFields)
const decodeFields = Schema.decodeUnknownOption(Schema.Record(Schema.String, Schema.Json))

/** Reads a token. What must not be public is dropped, whoever sent it. */
export const decodeToken = (wire: unknown): Option.Option<PublicToken> =>
  Option.map(Option.all([decodeStandardFields(wire), decodeFields(wire)]), ([token, fields]) => ({
    accessToken: token.access_token,
    tokenType: token.token_type ?? "bearer",
    ...(token.expiry !== undefined && token.expiry < never && { expiresAt: DateTime.makeUnsafe(token.expiry * 1000) }),
    ...(token.scope !== undefined && { scope: token.scope }),
    extras: Object.fromEntries(Object.entries(fields).filter(([name]) => !reservedFields.includes(name))),
  }))

// Logins

const Seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

const Initiated = Schema.Struct({
  session_id: Schema.String,
  flow_type: FlowType,
  auth_url: Schema.String,
  pollIntervalMs: Seconds,
  expiresIn: Seconds,
  user_code: Schema.optionalKey(Schema.String),
  verification_uri: Schema.optionalKey(Schema.String),
  verification_uri_complete: Schema.optionalKey(Schema.String),
  notice: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(2000))),
})
const decodeLogin = Schema.decodeUnknownOption(Initiated)

export const encodeInitiated = (login: InitiatedLogin): JsonObject => ({
  session_id: login.sessionId,
  flow_type: login.flowType,
  auth_url: login.authUrl,
  pollIntervalMs: Duration.toMillis(login.pollInterval),
  expiresIn: Math.round(Duration.toSeconds(login.expiresIn)),
  ...(Option.isSome(login.notice) && { notice: login.notice.value }),
  ...Option.match(login.device, {
    onNone: () => ({}),
    onSome: ({ userCode, verificationUri, verificationUriComplete }) => ({
      user_code: userCode,
      verification_uri: verificationUri,
      // The name that older clients read.
      verification_url: verificationUri,
      ...(Option.isSome(verificationUriComplete) && { verification_uri_complete: verificationUriComplete.value }),
    }),
  }),
})

const Removed = Schema.Struct({ revocation: Revocation })
const decodeRemoved = Schema.decodeUnknownOption(Removed)

export const encodeRevocation = (revocation: Revocation): JsonObject => ({ revocation })

export const decodeRevocation = (wire: unknown): Option.Option<Revocation> =>
  Option.map(decodeRemoved(wire), ({ revocation }) => revocation)

/** No login is waited for longer, in seconds. A time that a host has made up may be beyond all calendars. */
const longestLogin = 86_400

/** Reads a begun login. Its texts come from a provider through a host, and are shown to a person. */
export const decodeInitiated = (wire: unknown): Option.Option<InitiatedLogin> =>
  Option.map(decodeLogin(wire), (login) => ({
    sessionId: login.session_id,
    flowType: login.flow_type,
    authUrl: login.auth_url,
    device:
      login.user_code === undefined || login.verification_uri === undefined
        ? Option.none()
        : Option.some({
            userCode: printable(login.user_code),
            verificationUri: login.verification_uri,
            verificationUriComplete: Option.fromUndefinedOr(login.verification_uri_complete),
          }),
    pollInterval: Duration.millis(login.pollIntervalMs),
    notice: Option.map(Option.fromUndefinedOr(login.notice), oneLine),
    expiresIn: Duration.seconds(Math.min(login.expiresIn, longestLogin)),
  }))

const Progress = Schema.Union([
  Schema.Struct({ status: Schema.Literal("pending"), pollIntervalMs: Seconds }),
  Schema.Struct({ status: Schema.Literal("complete"), token: Schema.Unknown }),
])
const decodeStatus = Schema.decodeUnknownOption(Progress)

export const encodeProgress = (progress: LoginProgress): JsonObject =>
  progress.status === "complete"
    ? { status: "complete", token: encodeToken(progress.token) }
    : {
        status: "pending",
        pollIntervalMs: Duration.toMillis(progress.interval),
        interval: Duration.toSeconds(progress.interval),
      }

export const decodeProgress = (wire: unknown): Option.Option<LoginProgress> =>
  Option.flatMap(decodeStatus(wire), (progress): Option.Option<LoginProgress> =>
    progress.status === "pending"
      ? Option.some({ status: "pending", interval: Duration.millis(progress.pollIntervalMs) })
      : Option.map(decodeToken(progress.token), (token) => ({ status: "complete", token })),
  )

// API keys and statistics

const KeyData = Schema.Struct({ key: ApiKey })
const decodeKeyData = Schema.decodeUnknownOption(KeyData)

export const encodeApiKey = (key: Redacted.Redacted): JsonObject => ({ key: Redacted.value(key) })

export const decodeApiKey = (wire: unknown): Option.Option<Redacted.Redacted> =>
  Option.map(decodeKeyData(wire), ({ key }) => key)

const Stats = Schema.Struct({
  bucket: Schema.String,
  requestCount: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  percentage: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
  lastUsed: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: never }))),
})
const decodeStatsData = Schema.decodeUnknownOption(Stats)

export const encodeStats = ({ bucket, lastUsed, percentage, requestCount }: BucketStats): JsonObject => ({
  bucket,
  requestCount,
  percentage,
  ...(Option.isSome(lastUsed) && { lastUsed: Math.floor(DateTime.toEpochMillis(lastUsed.value) / 1000) }),
})

export const decodeStats = (wire: unknown): Option.Option<BucketStats> =>
  Option.map(decodeStatsData(wire), ({ lastUsed, ...stats }) => ({
    ...stats,
    lastUsed: Option.map(Option.fromUndefinedOr(lastUsed), (seconds) => DateTime.makeUnsafe(seconds * 1000)),
  }))
