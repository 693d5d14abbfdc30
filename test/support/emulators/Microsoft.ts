/**
 * Microsoft: errors with a description that names the request and the person's tenant, its own names for what goes wrong with a
 * device code, and a new refresh token each time beside which the old one stays good.
 */
import { lacks, ok, type Reply, start, type Start } from "./Emulator.ts"

export const clientId = "00001111-aaaa-2222-bbbb-3333cccc4444"

/** An error as the vendor writes it. */
export const aadsts = (status: number, error: string, code: number, text: string): Reply => ({
  status,
  body: {
    error,
    error_description: `AADSTS${code}: ${text}\r\nTrace ID: 0000aaaa-11bb-cccc-dd22-eeeeee333333\r\nCorrelation ID: aaaa0000-bb11-2222-33cc-444444dddddd\r\nTimestamp: 2026-11-21 02:02:12Z`,
    error_codes: [code],
    timestamp: "2026-11-21 02:02:12Z",
    trace_id: "0000aaaa-11bb-cccc-dd22-eeeeee333333",
    correlation_id: "aaaa0000-bb11-2222-33cc-444444dddddd",
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
  },
})

export const microsoft: Start = start((books) => {
  const tokens = (scope: string | undefined) => {
    const { access, refresh } = books.issue()
    return ok({
      token_type: "Bearer",
      scope: "User.Read",
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: access,
      ...(scope?.split(" ").includes("offline_access") === true && { refresh_token: refresh }),
    })
  }
  let scope: string | undefined
  return {
    authorize: "/common/oauth2/v2.0/authorize",
    token: "/common/oauth2/v2.0/token",
    device: "/common/oauth2/v2.0/devicecode",
    objects: (query) => {
      scope = query.get("scope") ?? undefined
      return lacks(query, {
        response_type: "code",
        client_id: clientId,
        redirect_uri:
          /^(http:\/\/localhost:\d+\/callback|https:\/\/login\.microsoftonline\.com\/common\/oauth2\/nativeclient)$/,
        scope: /\S/,
        state: /^.{16,}$/,
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: "S256",
        // With `consent` a person who may not consent cannot log in.
        prompt: "select_account",
      })
    },
    answers: {
      "/common/oauth2/v2.0/devicecode": ({ form }) => {
        if (form?.["client_id"] !== clientId) return aadsts(400, "unauthorized_client", 700016, "No such application.")
        scope = form["scope"]
        if (scope === undefined) return aadsts(400, "invalid_request", 900144, "The body must contain 'scope'.")
        const { deviceCode, userCode } = books.device()
        return ok({
          device_code: deviceCode,
          user_code: userCode,
          verification_uri: "https://microsoft.com/devicelogin",
          expires_in: 900,
          interval: 5,
          message: `To sign in, use a web browser to open the page and enter the code ${userCode}.`,
        })
      },
      "/common/oauth2/v2.0/token": ({ form, headers }) => {
        if (form === undefined) return aadsts(400, "invalid_request", 900144, "The body must contain 'grant_type'.")
        if (headers.has("authorization") || "client_secret" in form) {
          return aadsts(401, "invalid_client", 700025, "Client is public so no secret should be presented.")
        }
        if (form["client_id"] !== clientId) return aadsts(400, "unauthorized_client", 700016, "No such application.")
        if (form["grant_type"] === "authorization_code") {
          return books.redeems(form) ? tokens(scope) : aadsts(400, "invalid_grant", 70008, "The code has expired.")
        }
        if (form["grant_type"] === "refresh_token") {
          return books.isRefreshToken(form["refresh_token"])
            ? tokens(scope)
            : aadsts(400, "invalid_grant", 700082, "The refresh token has expired due to inactivity.")
        }
        switch (books.fateOf(form)) {
          case "pending":
            return aadsts(400, "authorization_pending", 70016, "The user must input their code.")
          case "denied":
            return aadsts(400, "authorization_declined", 70019, "The person said no.")
          case "granted":
            return tokens(scope)
          case "expired":
            return aadsts(400, "expired_token", 70020, "The provided value for 'device_code' has expired.")
          default:
            return aadsts(400, "bad_verification_code", 70018, "Bad verification code.")
        }
      },
    },
  }
})
