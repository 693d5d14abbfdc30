/**
 * Every error that a caller of the broker can act on, in this process or at the other end of a socket.
 *
 * Fields hold values, never prose from outside, so that no message can carry a secret or an escape sequence. `detail`,
 * where there is one, is a sentence of our own. Each message says what happened and what to do next.
 */
import { Duration, Schema } from "effect"
import { AccountKey } from "./AccountKey.ts"
import { completeCommand, keyCommand, loginCommand } from "./LoginCommand.ts"
import { oneLine, printable } from "./RemoteText.ts"

const sessionId = Schema.String

const inSeconds = (duration: Duration.Duration) => `${Math.ceil(Duration.toSeconds(duration))} s`

// Sessions

/** No session has this id: it never existed, was completed, cancelled or swept. */
export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", { sessionId }) {
  override get message(): string {
    return "There is no such login session: it was completed, cancelled, or too old. Begin a new login."
  }
}

/** The session was already taken: a session is good for one attempt. */
export class SessionUsed extends Schema.TaggedError<SessionUsed>()("SessionUsed", { sessionId }) {
  override get message(): string {
    return "This login session was already used. A session is good for one attempt; begin a new login."
  }
}

/** The session, or the device code in it, is past its life. */
export class SessionExpired extends Schema.TaggedError<SessionExpired>()("SessionExpired", { sessionId }) {
  override get message(): string {
    return "This login session has expired before access was granted. Begin a new login."
  }
}

/** The session was begun by another peer. */
export class PeerMismatch extends Schema.TaggedError<PeerMismatch>()("PeerMismatch", { sessionId }) {
  override get message(): string {
    return "This login session belongs to another peer. Begin a login of your own."
  }
}

/** The person, or the authorization server on their behalf, said no (RFC 6749 section 4.1.2.1 `access_denied`). */
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", { sessionId }) {
  override get message(): string {
    return "Access was denied at the provider. Nothing was stored; begin a new login if that was a mistake."
  }
}

// One poll of a device code (RFC 8628 section 3.5)

/** The person has not finished yet; poll again after the interval. */
export class AuthorizationPending extends Schema.TaggedError<AuthorizationPending>()("AuthorizationPending", {}) {
  override get message(): string {
    return "The person has not yet granted access. Ask again after the interval."
  }
}

/** As {@link AuthorizationPending}, and the interval grows by five seconds for good. */
export class SlowDown extends Schema.TaggedError<SlowDown>()("SlowDown", {
  /** The new interval, if the provider names one. */
  interval: Schema.optionalKey(Schema.Duration),
}) {
  override get message(): string {
    return "The provider asks to be polled less often. Add five seconds to the interval."
  }
}

/** What may help: another try later, or only a change, of what is configured or asked for. Not known through a socket. */
const Remedy = Schema.Literals(["wait", "change"])
export type Remedy = typeof Remedy.Type
const remedy = Schema.optionalKey(Remedy)

// Flows

/** The login could not be begun. */
export class FlowInitiationFailed extends Schema.TaggedError<FlowInitiationFailed>()("FlowInitiationFailed", {
  detail: Schema.String,
  remedy,
}) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

/** The authorization code could not be exchanged for a token. */
export class ExchangeFailed extends Schema.TaggedError<ExchangeFailed>()("ExchangeFailed", {
  detail: Schema.String,
  remedy,
}) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

/** Waiting for the grant came to an end without one. */
export class PollFailed extends Schema.TaggedError<PollFailed>()("PollFailed", { detail: Schema.String, remedy }) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

// Tokens

/** Nobody has logged in to this account. */
export class TokenNotFound extends Schema.TaggedError<TokenNotFound>()("TokenNotFound", { account: AccountKey }) {
  override get message(): string {
    return `Nobody is logged in as ${printable(this.account.toString())}. Log in with: ${loginCommand(this.account)}`
  }
}

/** The token is, or soon will be, expired, and the provider gave no refresh token with it. */
export class RefreshNotAvailable extends Schema.TaggedError<RefreshNotAvailable>()("RefreshNotAvailable", {
  account: AccountKey,
}) {
  override get message(): string {
    return `The provider gave no refresh token for ${printable(this.account.toString())}. Log in again with: ${loginCommand(this.account)}`
  }
}

/** Refreshing did not work this time; the login is kept. */
export class RefreshFailed extends Schema.TaggedError<RefreshFailed>()("RefreshFailed", {
  account: AccountKey,
  detail: Schema.String,
  remedy,
  /** How long it is not tried again, if that is known. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis),
}) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

/** The provider says that a person must log in again (RFC 6749 section 5.2 `invalid_grant`). */
export class ReauthRequired extends Schema.TaggedError<ReauthRequired>()("ReauthRequired", { account: AccountKey }) {
  override get message(): string {
    return `The provider wants a new login for ${printable(this.account.toString())}. Log in again with: ${loginCommand(this.account)}`
  }
}

/** Not refreshed now: it was a moment ago, or the provider or an earlier failure asks for patience. */
export class RefreshRateLimited extends Schema.TaggedError<RefreshRateLimited>()("RefreshRateLimited", {
  account: AccountKey,
  retryAfter: Schema.DurationFromMillis,
}) {
  override get message(): string {
    return `${printable(this.account.toString())} is not refreshed again so soon, at the word of its provider or of the host. Nothing was lost; try again in ${inSeconds(this.retryAfter)}.`
  }
}

/** Another process is at work on the account, and did not finish in time. */
export class LockBusy extends Schema.TaggedError<LockBusy>()("LockBusy", {
  account: AccountKey,
  retryAfter: Schema.DurationFromMillis,
}) {
  override get message(): string {
    return `Another process is busy with ${printable(this.account.toString())}. Nothing was done or lost; try again in ${inSeconds(this.retryAfter)}.`
  }
}

/** Too many requests of one peer. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  retryAfter: Schema.DurationFromMillis,
}) {
  override get message(): string {
    return `Too many requests. Nothing was lost; try again in ${inSeconds(this.retryAfter)}.`
  }
}

// Providers

/** A login was asked for at a provider that is not configured, or not with all that it needs. */
export class ProviderNotConfigured extends Schema.TaggedError<ProviderNotConfigured>()("ProviderNotConfigured", {
  provider: Schema.String,
  /** The fields of its record that the configuration has to say. */
  missing: Schema.optionalKey(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    if (this.missing !== undefined) {
      return `The provider ${printable(this.provider)} is known, but its ${this.missing.join(", ")} ${this.missing.length === 1 ? "has" : "have"} to come from you: ${completeCommand(this.provider, this.missing)}`
    }
    // A host, or the beginning of an address as it was split at its colon.
    const address = /[./]/.test(this.provider) ? " An MCP server is named by its address, beginning with https://." : ""
    return `No provider is called ${printable(this.provider)}.${address} See those that can be used with: tokenkeep provider list --all`
  }
}

/** A stored token belongs to a provider that is no longer configured, so that it cannot be refreshed. */
export class ProviderNotFound extends Schema.TaggedError<ProviderNotFound>()("ProviderNotFound", {
  provider: Schema.String,
}) {
  override get message(): string {
    return `No provider is called ${printable(this.provider)}, so its tokens cannot be refreshed. Add it again with: tokenkeep provider add`
  }
}

// API keys

/** There is no API key of this name. */
export class ApiKeyNotFound extends Schema.TaggedError<ApiKeyNotFound>()("ApiKeyNotFound", { name: Schema.String }) {
  override get message(): string {
    return `There is no API key ${printable(this.name)}. Set it, where the host runs, with: ${keyCommand(this.name)}`
  }
}

// Requests and rights

/** The request makes no sense: an unknown operation, a missing field, an operation that does not suit the flow. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", { detail: Schema.String }) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

/** The peer may not connect, or asks for what is outside its grant. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {
  override get message(): string {
    return "This peer is not allowed to do that. The person who runs the host can change it."
  }
}

/** The operation is not part of the peer's grant. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {}) {
  override get message(): string {
    return "This is not granted to this peer, or does not exist. The person who runs the host can change it."
  }
}

/** No grant has this id: it never existed, was revoked, has expired or is used up. */
export class GrantNotFound extends Schema.TaggedError<GrantNotFound>()("GrantNotFound", { id: Schema.String }) {
  override get message(): string {
    return `There is no grant ${printable(this.id)}: it was revoked, has expired or is used up. See the grants with: tokenkeep grant list`
  }
}

/** Nobody waits for an answer to this question: it was answered, or is too old. */
export class QuestionNotFound extends Schema.TaggedError<QuestionNotFound>()("QuestionNotFound", {
  id: Schema.String,
}) {
  override get message(): string {
    return `There is no question ${printable(this.id)}: it was answered, or nobody waits for it any more. See the questions with: tokenkeep approve`
  }
}

/** The request was cancelled by its own peer. */
export class Cancelled extends Schema.TaggedError<Cancelled>()("Cancelled", {}) {
  override get message(): string {
    return "The request was cancelled, as asked. Send it again if it is still wanted."
  }
}

// The host's own trouble

/** A file of ours is there, but what is in it cannot be understood. It is left as it is. */
export class StoreCorrupt extends Schema.TaggedError<StoreCorrupt>()("StoreCorrupt", {
  path: Schema.String,
  /** The API key that it should hold, if it is none of the accounts' files. */
  apiKey: Schema.optionalKey(Schema.String),
  /** Why, if it is not damaged: a newer version has another shape, or a plugin cannot make its newest one of it. */
  because: Schema.optionalKey(Schema.Literals(["newer", "plugin"])),
}) {
  override get message(): string {
    const path = oneLine(this.path)
    if (this.because === "newer") {
      return `The file ${path} was written by a newer tokenkeep, and this one cannot understand it. It was left as it is; update this one, or move it away and log in again.`
    }
    if (this.because === "plugin") {
      return `The plugin of the provider cannot read what an older version of it has kept in ${path}. It was left as it is; update the plugin, or move it away and log in again.`
    }
    const again = this.apiKey === undefined ? "log in again." : `set the key again with: ${keyCommand(this.apiKey)}`
    return `The file ${path} is damaged. It was left as it is; look at it, or move it away and ${again}`
  }
}

/** A file of ours was written by a newer version, which may know more of it: it can be read, but not replaced. */
export class StoreNewer extends Schema.TaggedError<StoreNewer>()("StoreNewer", {
  account: AccountKey,
  /** What is older than the file. */
  than: Schema.Literals(["tokenkeep", "plugin"]),
}) {
  override get message(): string {
    const name = printable(this.account.toString())
    return this.than === "tokenkeep"
      ? `The login ${name} was written by a newer tokenkeep. Nothing was sent or changed; update this one, or log out and in again.`
      : `The login ${name} was written with a newer version of its provider's plugin, or with one that is not loaded. Nothing was sent or changed; update the plugin, or log out and in again.`
  }
}

/** A file or folder of ours could not be read or written. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  path: Schema.String,
  operation: Schema.Literals(["read", "write"]),
}) {
  override get message(): string {
    return `Could not ${this.operation} ${oneLine(this.path)}. Nothing was lost; check that the folder exists, is yours and is not full.`
  }
}

/** The configuration is there, but it, or what it says of one provider, cannot be understood. It is left as it is. */
export class ConfigCorrupt extends Schema.TaggedError<ConfigCorrupt>()("ConfigCorrupt", {
  path: Schema.String,
  provider: Schema.optionalKey(Schema.String),
  /** What is wrong with it, without what it says. */
  mistakes: Schema.optionalKey(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    const mistakes = this.mistakes === undefined ? "" : `: ${this.mistakes.map(printable).join("; ")}`
    return this.provider === undefined
      ? `The configuration ${oneLine(this.path)} cannot be used${mistakes}. It was left as it is; mend it, or move it away and add the providers again with: tokenkeep provider add`
      : `What the configuration ${oneLine(this.path)} says of ${printable(this.provider)} cannot be used${mistakes}. It was left as it is; mend it in that file.`
  }
}

/** The client secret of a provider is not where its record says. */
export class SecretUnavailable extends Schema.TaggedError<SecretUnavailable>()("SecretUnavailable", {
  provider: Schema.String,
  source: Schema.String,
}) {
  override get message(): string {
    return `The client secret of ${printable(this.provider)} is not there: ${oneLine(this.source)} is not set, not readable or empty. Nothing was lost; set it where this runs, or where tokenkeep serve does.`
  }
}

/** The host at the other end of the socket had trouble of its own; its own log says more. */
export class HostFailure extends Schema.TaggedError<HostFailure>()("HostFailure", {}) {
  override get message(): string {
    return "The host could not answer because of trouble of its own. The person who runs it finds more in its log."
  }
}

/** There is no host at the other end of the socket, or no longer the same one. */
export class HostUnreachable extends Schema.TaggedError<HostUnreachable>()("HostUnreachable", {
  detail: Schema.String,
}) {
  override get message(): string {
    return oneLine(this.detail)
  }
}

/** Trouble of the host's own, whichever kind: nothing that the caller did, and nothing that it can mend. */
export type HostError =
  | StoreCorrupt
  | StoreNewer
  | StoreUnavailable
  | ConfigCorrupt
  | SecretUnavailable
  | HostFailure
  | HostUnreachable

/** What can be wrong with a session that a caller names. */
export type SessionError = SessionNotFound | SessionUsed | SessionExpired | PeerMismatch
