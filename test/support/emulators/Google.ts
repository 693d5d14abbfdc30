/**
 * Google: a secret at every request, `verification_url`, a 428 while one waits and a 403 for what the RFC says with 400, no new
 * refresh token with a refresh, and a session policy that speaks in `error_description`.
 */
import { type Asked, type Books, lacks, ok, problem, type Reply, start, type Start, type Vendor } from "./Emulator.ts"

export const clientId = "1234-example.apps.googleusercontent.com"
export const clientSecret = "google client secret"

/** What the session policy of a company says; nobody may repeat it. */
export const rapt: Reply = {
  status: 400,
  body: {
    error: "invalid_grant",
    error_description: "reauth related error (invalid_rapt)",
    error_subtype: "invalid_rapt",
  },
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

export interface Client {
  readonly clientId: string
  readonly redirectUris: RegExp
}

/** The servers of Google; the same for each of its clients. */
export const vendor =
  (client: Client) =>
  (books: Books): Vendor => {
    let wantsRefreshToken = true
    const tokens = (more: { readonly [name: string]: unknown }) => ({
      expires_in: 3599,
      scope: "openid https://www.googleapis.com/auth/userinfo.email",
      token_type: "Bearer",
      ...more,
    })
    const loggedIn = () => {
      const { access, refresh } = books.issue()
      return ok(tokens({ access_token: access, ...(wantsRefreshToken && { refresh_token: refresh }) }))
    }
    const known = (then: (form: NonNullable<Asked["form"]>) => Reply) => (asked: Asked) => {
      if (asked.form === undefined) return problem(400, "invalid_request", "Bad Request")
      if (asked.headers.has("authorization")) return problem(400, "invalid_request", "Two ways to authenticate")
      if (asked.form["client_id"] !== client.clientId) return problem(401, "invalid_client", "Not found")
      if (asked.form["client_secret"] !== clientSecret)
        return problem(400, "invalid_request", "client_secret is missing.")
      return then(asked.form)
    }
    return {
      authorize: "/o/oauth2/v2/auth",
      token: "/token",
      device: "/device/code",
      revoke: "/revoke",
      objects: (query) => {
        // No refresh token but at the first consent, unless it is asked for again.
        wantsRefreshToken = query.get("access_type") === "offline" && query.get("prompt") === "consent"
        return lacks(query, {
          response_type: "code",
          client_id: client.clientId,
          redirect_uri: client.redirectUris,
          scope: /\S/,
          state: /^.{16,}$/,
          code_challenge: /^[\w-]{43}$/,
          code_challenge_method: "S256",
        })
      },
      answers: {
        // The secret is for the token endpoint; here the client's id is enough.
        "/device/code": ({ form }) => {
          if (form?.["client_id"] !== client.clientId) return problem(401, "invalid_client", "Invalid client type.")
          if (form["scope"] === undefined) return problem(400, "invalid_scope")
          const { deviceCode, userCode } = books.device()
          return ok({
            device_code: deviceCode,
            user_code: userCode,
            verification_url: "https://www.google.com/device",
            expires_in: 1800,
            interval: 5,
          })
        },
        "/token": known((form) => {
          if (form["grant_type"] === "authorization_code") {
            return books.redeems(form) ? loggedIn() : problem(400, "invalid_grant", "Malformed auth code.")
          }
          if (form["grant_type"] === "refresh_token") {
            if (!books.isRefreshToken(form["refresh_token"])) {
              return problem(400, "invalid_grant", "Token has been expired or revoked.")
            }
            return ok(tokens({ access_token: books.issue().access }))
          }
          if (form["grant_type"] !== deviceGrant) return problem(400, "unsupported_grant_type")
          switch (books.fateOf(form)) {
            case "pending":
              return problem(428, "authorization_pending", "Precondition Required")
            case "denied":
              return problem(403, "access_denied", "Forbidden")
            case "granted":
              wantsRefreshToken = true
              return loggedIn()
            default:
              return problem(400, "invalid_grant", "Malformed device code.")
          }
        }),
        "/revoke": ({ form }) =>
          books.end(form?.["token"]) ? ok({}) : problem(400, "invalid_token", "Token expired or revoked"),
      },
    }
  }

/** Google, with a client of one's own. */
export const google: Start = start(vendor({ clientId, redirectUris: /^http:\/\/127\.0\.0\.1:\d+\/oauth2callback$/ }))

/** Google, with the client of Gemini CLI. */
export const gemini: Start = start(
  vendor({
    clientId: "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
    redirectUris: /^(http:\/\/127\.0\.0\.1:\d+\/oauth2callback|https:\/\/codeassist\.google\.com\/authcode)$/,
  }),
)
