/**
 * The flow for a person who carries the answer over by hand: open a URL, grant access, paste what comes back.
 */
import { Effect, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import type { Granter } from "../domain/AccountRecord.ts"
import type { CallbackRejected, GrantDenied } from "./GrantFailure.ts"
import { OAuthClient } from "./OAuthClient.ts"
import * as PastedCode from "./PastedCode.ts"
import type { Provider } from "./Provider.ts"
import { ProviderFailure } from "./ProviderFailure.ts"
import type { StoredToken } from "../domain/Token.ts"

/** A paste login, begun. */
export interface PasteLogin {
  readonly _tag: "pkce_redirect"
  readonly granter: Granter
  readonly authorizationUrl: string
  /** Exchanges what the person pasted. A state in it is checked, and so is an issuer. */
  readonly redeem: (
    pasted: Redacted.Redacted,
  ) => Effect.Effect<StoredToken, CallbackRejected | GrantDenied | ProviderFailure>
}

/**
 * The address that a person's browser is sent to, and where nobody listens: they carry over what it shows. RFC 8252 section
 * 7.3 lets any port take the place of none; one that nobody can foretell is not listened to by somebody else.
 */
const withPort = Effect.fnUntraced(function* (redirectUri: string) {
  const url = new URL(redirectUri)
  if (url.protocol !== "http:" || url.port !== "") return redirectUri
  const random = yield* SecureRandom.SecureRandom
  const [high = 0, low = 0] = yield* random.randomBytes(2)
  // The dynamic ports (RFC 6335 section 6).
  url.port = String(49_152 + (((high << 8) | low) % 16_384))
  return url.href
})

/** Begins a paste login. Without a redirect URI the first registered one is used, rather a hosted page than loopback. */
export const begin = Effect.fn("PkceRedirect.begin")(function* (provider: Provider, redirectUri?: string) {
  const client = yield* OAuthClient
  const hosted = provider.redirectUris.find((uri) => uri.startsWith("https:"))
  const chosen = redirectUri ?? hosted ?? provider.redirectUris[0]
  if (chosen === undefined) {
    return yield* ProviderFailure.misconfigured(provider.name, "its record has no redirect URI")
  }
  const grant = yield* client.beginCode(provider, yield* withPort(chosen))
  const login: PasteLogin = {
    _tag: "pkce_redirect",
    granter: grant.granter,
    authorizationUrl: grant.authorizationUrl,
    redeem: (pasted) => {
      const { isBare, parameters } = PastedCode.parse(pasted, provider.pasted)
      if (isBare) {
        // What cannot be in the text cannot be checked; PKCE still ties the code to this login.
        if (!parameters.has("state")) parameters.set("state", Redacted.value(grant.state))
        parameters.set("iss", grant.issuer)
      }
      return grant.redeem(parameters)
    },
  }
  return login
})
