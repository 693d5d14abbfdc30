/**
 * Gemini, by the login of Gemini CLI (Code Assist). Its refresh tokens stay the same.
 *
 * All of it is from google-gemini/gemini-cli `packages/core/src/code_assist/oauth2.ts` and `server.ts`, and from
 * googleapis/google-auth-library-nodejs `src/auth/oauth2client.ts`. The program's client has a secret, which is not repeated
 * here: it is read from `TOKENKEEP_GEMINI_CLIENT_SECRET`, or from where the configuration says. The program sends no
 * challenge (RFC 7636) in the browser and one in the paste flow; here there always is one, and that Google minds it in
 * neither is on trust. So is that the client is still served at all: see `notice`.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { authorizationParameters, dialect, endpoints } from "./Google.ts"

export const gemini: ProviderDefinition = {
  name: "gemini",
  record: {
    endpoints: {
      authorization: endpoints.authorization,
      token: endpoints.token,
      revocation: endpoints.revocation,
    },
    clientId: "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
    clientSecret: { env: "TOKENKEEP_GEMINI_CLIENT_SECRET" },
    clientAuthentication: "post",
    scopes: [
      "https://www.googleapis.com/auth/cloud-platform",
      "https://www.googleapis.com/auth/userinfo.email",
      "https://www.googleapis.com/auth/userinfo.profile",
    ],
    flows: ["browser_redirect", "pkce_redirect"],
    // The page shows a code to paste.
    redirectUris: ["http://127.0.0.1/oauth2callback", "https://codeassist.google.com/authcode"],
    authorizationParameters,
    pasted: "code",
    // Methods are `/v1internal:generateContent` and so on, with a slash before them.
    api: { baseUrl: "https://cloudcode-pa.googleapis.com" },
    notice:
      "Google's terms allow this login in Gemini CLI only: accounts that use it elsewhere may be suspended. Since June 2026 it is refused to accounts of individuals; the login itself still succeeds then.",
  },
  dialect,
}
