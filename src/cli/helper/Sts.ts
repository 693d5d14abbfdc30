/**
 * AWS STS, asked for the keys of a role with a token. A public call over https: what is shown is the token, and only there.
 */
import { Data, Effect, Redacted } from "effect"
import * as Aws from "../../helpers/Aws.ts"
import { type FetchFailure, ProviderFetch } from "../../oauth/ProviderFetch.ts"

/** STS gave no keys. */
export class RoleRefused extends Data.TaggedError("RoleRefused")<{ readonly code: string | undefined }> {
  override get message(): string {
    const { code } = this
    const hint = hints[code ?? ""] ?? "See the role's trust policy, and the identity provider in IAM that it names."
    return `AWS gave no keys for the role${code === undefined ? "" : ` (${code})`}. ${hint}`
  }
}

const hints: { readonly [code: string]: string } = {
  ExpiredTokenException: "It takes the token for expired; see whether the clock is right.",
  InvalidIdentityToken:
    "The token is not one that it can check: it must be a JWT, of an issuer and for an audience that IAM knows as an identity provider. Where the access token is none, try --id-token.",
  IDPRejectedClaim: "The token's issuer, or the role's trust policy, does not want what the token claims.",
  AccessDenied: "The role's trust policy does not allow it for what the token claims.",
  RegionDisabledException:
    "STS is not switched on in that region for the role's account; name another one with --region.",
  ValidationError: "It does not take the role, the name of the session, or how long it is to last.",
}

/** STS, or the token's issuer as it sees it, is not there. */
export class RoleUnavailable extends Data.TaggedError("RoleUnavailable")<{ readonly detail: string }> {
  readonly remedy = "wait" as const
  override get message(): string {
    return this.detail
  }
}

const unavailable = (what: FetchFailure["what"] | "error") =>
  new RoleUnavailable({
    detail: `AWS STS could not be asked for the keys of the role (${what}). Nothing was changed; try again later, or see --region and --endpoint.`,
  })

/** Codes that are not for good. */
const passing = /^(?:Throttling\w*|RequestLimitExceeded|ServiceUnavailable|InternalFailure|IDPCommunicationError)$/

/** The keys of a role. */
export const assume = Effect.fnUntraced(function* (endpoint: string, role: Aws.Role, token: Redacted.Redacted) {
  const { send } = yield* ProviderFetch
  const { status, text } = yield* send(endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/xml" },
    body: Aws.bodyOf(role, Redacted.value(token)),
  }).pipe(Effect.mapError(({ what }) => unavailable(what)))
  const keys = status === 200 ? Aws.parseKeys(Redacted.value(text)) : undefined
  if (keys !== undefined) return keys
  const code = Aws.parseError(Redacted.value(text))
  return yield* status >= 500 || status === 429 || passing.test(code ?? "")
    ? unavailable("error")
    : new RoleRefused({ code })
})
