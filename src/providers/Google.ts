/**
 * Google, with a client of one's own: its id, its secret (`TOKENKEEP_GOOGLE_CLIENT_SECRET`, or as the configuration says) and
 * the scopes are for the configuration to say.
 *
 * A client is made at Google for one way to log in: "TVs and Limited Input devices" for a device code, with few scopes, and
 * "Desktop app" for a browser. If it is not the first, the login goes on to the second. Sources are
 * developers.google.com/identity/protocols/oauth2/limited-input-device and /native-app (a 428 and a 403 while one waits for
 * the person, `verification_url`, the secret with every token, revocation). Nothing of it was tried at Google itself; that a
 * token which is revoked already is refused with `invalid_token`, and that a revocation may be a form, is on trust.
 */
import type { Dialect, VendorAnswer } from "../oauth/Dialect.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const endpoints = {
  authorization: "https://accounts.google.com/o/oauth2/v2/auth",
  token: "https://oauth2.googleapis.com/token",
  deviceAuthorization: "https://oauth2.googleapis.com/device/code",
  revocation: "https://oauth2.googleapis.com/revoke",
}

/**
 * Without `access_type` there is no refresh token. Without `prompt` there is one at the first consent only: a second login,
 * of another bucket or after a logout that did not reach Google, would have none.
 */
export const authorizationParameters = { access_type: "offline", prompt: "consent" }

const gone: VendorAnswer = { status: 200, headers: {}, body: {} }

export const dialect: Dialect = {
  answer: (answer, { call }) => {
    const { error, error_code } = answer.body
    // The one error that has another name for its code.
    if (call === "device" && error_code === "rate_limit_exceeded") return { ...answer, status: 429 }
    // RFC 7009 section 2.2: a token that is not good any more is revoked.
    return call === "revoke" && answer.status === 400 && error === "invalid_token" ? gone : answer
  },
}

export const google: ProviderDefinition = {
  name: "google",
  record: {
    endpoints,
    clientSecret: { env: "TOKENKEEP_GOOGLE_CLIENT_SECRET" },
    clientAuthentication: "post",
    flows: ["device_code", "browser_redirect"],
    redirectUris: ["http://127.0.0.1/oauth2callback"],
    authorizationParameters,
    // "The code in the request is invalid or has expired".
    errors: [{ calls: ["poll"], code: "invalid_grant", means: "expired" }],
    api: { hosts: ["*.googleapis.com"] },
  },
  dialect,
}
