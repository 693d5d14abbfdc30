/**
 * How one attempt to be granted access can end, other than well, whichever the flow. In-process errors: the broker says
 * them again in its own words, with the session they belong to.
 */
import { Data } from "effect"

/** The person, or the provider for them, said no. */
export class GrantDenied extends Data.TaggedError("GrantDenied")<{}> {}

/** The device code is past its life (RFC 8628 section 3.5 `expired_token`). */
export class GrantExpired extends Data.TaggedError("GrantExpired")<{}> {}

/** What came back from the browser is not an answer to this login. Nothing was sent to the provider. */
export class CallbackRejected extends Data.TaggedError("CallbackRejected")<{
  readonly what: "no code" | "another login's state" | "another issuer" | "an error from the provider"
}> {
  override get message(): string {
    return `That is not an answer to this login: it holds ${this.what}.`
  }
}
