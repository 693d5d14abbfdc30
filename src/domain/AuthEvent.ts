/**
 * What happens to logins, as it is told to whoever wants to know.
 *
 * Nothing in here can hold a secret: names, times, words of ours, and of a token its fingerprint, which is the one in the
 * audit log. As JSON an event is one object: `version` (1), `type` (the tag), `at` (RFC 3339, UTC), `account` (`provider` or
 * `provider:bucket`), and the fields below by the same names. A reader skips types and fields that it does not know.
 */
import { type DateTime, Option, Schema } from "effect"
import { AccountKeyFromString } from "./AccountKey.ts"
import { ascii } from "./AsciiJson.ts"
import { Fingerprint } from "./Fingerprint.ts"
import { refreshFailures } from "./RecordWords.ts"
import { Revocation } from "./Revocation.ts"
import { FlowType } from "./Session.ts"

/** Why a login came to nothing. */
export const LoginFailure = Schema.Literals([
  /** The person, or the provider for them, said no. */
  "denied",
  "expired",
  /** By who began it, or because the program ended. */
  "cancelled",
  /** What was pasted, or came back from the browser, is not an answer to this login. Nothing was sent. */
  "not_an_answer",
  /** The provider does not accept the code. */
  "refused",
  "not_entitled",
  "rate_limited",
  "transient",
  "endpoint_moved",
  "misconfigured",
  "port_taken",
  /** The token came, and could not be kept. */
  "not_stored",
  "internal",
])
export type LoginFailure = typeof LoginFailure.Type

/** Why a refresh brought nothing. */
export const RefreshFailure = Schema.Literals([
  ...refreshFailures,
  /** The provider's record names another server or client than at the login, so nothing was sent. */
  "another_granter",
  /** The answer had everything but an access token that is still valid. */
  "no_access_token",
  /** Somebody logged in anew, or out, meanwhile. */
  "superseded",
  "logged_out",
  /** The store could not be read or written, or another process was busy with it. */
  "not_stored",
  "cancelled",
  "internal",
])
export type RefreshFailure = typeof RefreshFailure.Type

/** How a request for a token was answered. */
export const TokenOutcome = Schema.Literals([
  "ok",
  "not_logged_in",
  "not_refreshable",
  "reauth_required",
  "refresh_failed",
  "rate_limited",
  "busy",
  "provider_unknown",
  /** Files or secrets of the host. */
  "host_trouble",
  "cancelled",
  "internal",
])
export type TokenOutcome = typeof TokenOutcome.Type

/** Where a token came from that was not got by logging in: its file, vault or program, in a word; or a peer that saved it. */
export const ImportSource = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_-]{0,31}$/))

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const at = Schema.DateTimeUtcFromString
const about = { at, account: AccountKeyFromString }
const took = { durationMs: Count }

export const AuthEvent = Schema.TaggedUnion({
  login_started: { ...about, flow: FlowType },
  login_completed: { ...about, ...took, flow: FlowType, fingerprint: Fingerprint },
  login_failed: { ...about, ...took, flow: FlowType, reason: LoginFailure },
  /** A program, or a peer, asks for a token, and none is at hand. */
  token_requested: { ...about, operation: Schema.Literals(["get_token", "refresh_token"]) },
  /** It is answered. */
  token_response: { ...about, ...took, outcome: TokenOutcome },
  /** A token is handed out; `at_hand`, if nothing had to be asked or waited for. */
  token_served: { ...about, from: Schema.Literals(["broker", "at_hand"]), fingerprint: Fingerprint },
  /** Once for all who wait, and for all attempts. What follows is one of the next two. */
  refresh_started: about,
  refresh_succeeded: { ...about, ...took, fingerprint: Fingerprint },
  refresh_failed: { ...about, ...took, reason: RefreshFailure, retryAfterMs: Schema.optionalKey(Count) },
  /** The provider wants a new login: nothing helps but a person. */
  reauth_required: about,
  logout: { ...about, revocation: Revocation },
  /** A token came from elsewhere. */
  import: { ...about, source: ImportSource, fingerprint: Fingerprint },
  /** Who reads this was too slow, and so many events are not told. */
  missed: { at, count: Count },
})
export type AuthEvent = typeof AuthEvent.Type

export type Type = AuthEvent["_tag"]

const flags: { readonly [type in Type]: true } = {
  login_started: true,
  login_completed: true,
  login_failed: true,
  token_requested: true,
  token_response: true,
  token_served: true,
  refresh_started: true,
  refresh_succeeded: true,
  refresh_failed: true,
  reauth_required: true,
  logout: true,
  import: true,
  missed: true,
}

const isType = (name: string): name is Type => Object.hasOwn(flags, name)

/** Every type that there is. */
export const types: ReadonlyArray<Type> = Object.keys(flags).filter(isType)

/** Whether it happens for each token that is asked for: a hundred thousand times a second, on a busy host. */
export const isOfTokens = (type: Type): boolean => type.startsWith("token_")

type WithoutTime<Event> = Event extends { readonly at: DateTime.Utc } ? Omit<Event, "at"> : never

/** An event of this moment. */
export type Happening = WithoutTime<AuthEvent>

const encode = Schema.encodeSync(AuthEvent)
const decode = Schema.decodeUnknownOption(AuthEvent)
const decodeLine = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.StructWithRest(Schema.Struct({ version: Schema.Literal(1), type: Schema.String }), [
      Schema.Record(Schema.String, Schema.Json),
    ]),
  ),
)

/** An event as JSON, on one line of ASCII without its end. */
export const toJson = (event: AuthEvent): string => {
  const { _tag: type, at, ...rest } = encode(event)
  return ascii({ version: 1, type, at, ...rest })
}

/** Reads what {@link toJson} writes. None if it is no event, or of a type that is not known here. */
export const fromJson = (line: string): Option.Option<AuthEvent> =>
  Option.flatMap(decodeLine(line), (fields) => decode({ ...fields, _tag: fields.type }))
