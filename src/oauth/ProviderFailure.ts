/**
 * What can go wrong at a provider, classified once, where its answer arrives, by status and protocol code, never by the
 * words of a message. Everybody else decides by class alone.
 *
 * Only {@link ReloginNeeded} may end a login. The texts are ours: of the provider's answer nothing is repeated but an
 * error code that looks like one.
 */
import { Data, Duration, Match, Option } from "effect"
import type { Remedy } from "../domain/Errors.ts"
import { showCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"

/** The classes of failure. */
export type Reason = Data.TaggedEnum<{
  /** The grant is gone; a person must log in again. */
  readonly ReloginNeeded: {}
  /** The provider understood, and refuses this client, account or request. */
  readonly NotEntitled: { readonly code: Option.Option<string> }
  /** HTTP 429. */
  readonly RateLimited: { readonly retryAfter: Option.Option<Duration.Duration> }
  /** No answer, an answer that makes no sense, or the provider's own trouble: worth another try. */
  readonly Transient: {
    readonly what:
      | "unreachable"
      | "not-public"
      | "connection-lost"
      | "timeout"
      | "gateway"
      | "server-error"
      | "malformed-answer"
  }
  /** Nothing of the kind lives at this address. */
  readonly EndpointMoved: { readonly status: number }
  /** Our own record of the provider, or its metadata, cannot be used. */
  readonly Misconfigured: { readonly what: string }
}>
export const Reason = Data.taggedEnum<Reason>()

/** `record` is how to see what is configured. */
const describe = (record: string) =>
  Match.type<Reason>().pipe(
    Match.tagsExhaustive({
      ReloginNeeded: () => "does not accept the grant: a new login is needed",
      NotEntitled: ({ code }) =>
        `refused the request${Option.match(code, { onNone: () => "", onSome: (c) => ` (${c})` })}; check its client id, secret and scopes (${record})`,
      RateLimited: ({ retryAfter }) =>
        `asks for fewer requests${Option.match(retryAfter, {
          onNone: () => "",
          onSome: (wait) => `; try again in ${Math.ceil(Duration.toSeconds(wait))} s`,
        })}`,
      Transient: ({ what }) =>
        ({
          unreachable: `could not be reached; check the network, and its address (${record})`,
          "not-public": "has an endpoint that is not public, so nothing was sent there",
          "connection-lost": "closed the connection without an answer",
          timeout: "did not answer in time",
          gateway: "was not reached by its own gateway; whether it acted on the request is not known",
          "server-error": "has trouble of its own",
          "malformed-answer": "gave an answer that is not what the protocol asks for",
        })[what],
      EndpointMoved: ({ status }) => `has nothing at the configured address (HTTP ${status}); check that (${record})`,
      Misconfigured: ({ what }) => `cannot be used as configured: ${what}`,
    }),
  )

/** Whether a request may have been acted upon although no answer came that can be understood. */
export const isAnswerLost = (reason: Reason): boolean =>
  reason._tag === "Transient" &&
  reason.what !== "unreachable" &&
  reason.what !== "not-public" &&
  reason.what !== "server-error"

/** What may help against a failure of this class. */
export const remedyFor = ({ _tag }: Reason): Remedy =>
  _tag === "Transient" || _tag === "RateLimited" ? "wait" : "change"

/** A provider did not do what it was asked to. */
export class ProviderFailure extends Data.TaggedError("ProviderFailure")<{
  readonly provider: string
  readonly reason: Reason
}> {
  /** There was no answer, or none that makes sense. */
  static transient(provider: string, what: Extract<Reason, { readonly _tag: "Transient" }>["what"]): ProviderFailure {
    return new ProviderFailure({ provider, reason: Reason.Transient({ what }) })
  }

  /** The record of the provider, or its metadata, cannot be used. */
  static misconfigured(provider: string, what: string): ProviderFailure {
    return new ProviderFailure({ provider, reason: Reason.Misconfigured({ what }) })
  }

  override get message(): string {
    return `The provider ${printable(this.provider)} ${describe(showCommand(this.provider))(this.reason)}.`
  }
}

/** RFC 6749 section 5.2, and what OpenID Connect and vendors answer when a person is needed. */
const reloginCodes = new Set([
  "invalid_grant",
  "invalid_token",
  "token_inactive",
  "interaction_required",
  "login_required",
  "consent_required",
])

/** RFC 6749 section 5.2, RFC 8628 section 3.5, RFC 7009 section 2.2.1 and RFC 8707 section 2: who answers so is in place. */
const protocolCodes = new Set([
  "invalid_request",
  "invalid_client",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
  "access_denied",
  "expired_token",
  "unsupported_token_type",
  "invalid_target",
])

/** An error code is shown only if it has the form of one (RFC 6749 appendix A.7 allows far more than any uses). */
export const shown = (code: string | undefined): Option.Option<string> =>
  Option.fromUndefinedOr(code).pipe(Option.filter((text) => /^[A-Za-z0-9_.-]{1,64}$/.test(text)))

/** Classifies an answer that is not a success. `code` is the error code in its body, if it has one. */
export const classify = (
  status: number,
  code: string | undefined,
  retryAfter: Option.Option<Duration.Duration>,
): Reason => {
  if (status === 429) return Reason.RateLimited({ retryAfter })
  // RFC 9110 sections 15.6.3 and 15.6.5: somebody in between lost the answer.
  if (status === 502 || status === 504) return Reason.Transient({ what: "gateway" })
  if (status === 408 || status >= 500) return Reason.Transient({ what: "server-error" })
  if (code !== undefined) {
    if (reloginCodes.has(code)) return Reason.ReloginNeeded()
    if (code === "temporarily_unavailable" || code === "server_error") return Reason.Transient({ what: "server-error" })
  }
  const isElsewhere = (status >= 300 && status < 400) || status === 404 || status === 405 || status === 410
  if (isElsewhere && (code === undefined || !protocolCodes.has(code))) return Reason.EndpointMoved({ status })
  if (code !== undefined) return Reason.NotEntitled({ code: shown(code) })
  if (status >= 400) return Reason.NotEntitled({ code: Option.none() })
  return Reason.Transient({ what: "malformed-answer" })
}
