/**
 * GitLab: a refresh ends both tokens before it, a device code brings no refresh token, and too many requests are answered in
 * plain text.
 */
import { lacks, ok, problem, type Reply, start, type Start } from "./Emulator.ts"

export const clientId = "gitlab-application-id"

/** The answer of its rate limiter. */
export const tooMany: Reply = { status: 429, body: "Retry later\n", headers: { "retry-after": "30" } }

export const gitlab: Start = start((books, origin) => {
  const pairs = new Map<string, string>()
  const tokens = (withRefreshToken = true) => {
    const { access, refresh } = books.issue()
    pairs.set(refresh, access)
    if (!withRefreshToken) books.end(refresh)
    return ok({
      access_token: access,
      token_type: "Bearer",
      expires_in: 7200,
      ...(withRefreshToken && { refresh_token: refresh }),
      scope: "read_user",
      created_at: 1_607_635_748,
    })
  }
  return {
    authorize: "/oauth/authorize",
    token: "/oauth/token",
    device: "/oauth/authorize_device",
    revoke: "/oauth/revoke",
    objects: (query) =>
      lacks(query, {
        response_type: "code",
        client_id: clientId,
        redirect_uri: /^http:\/\/127\.0\.0\.1:\d+\/callback$/,
        scope: "read_user",
        state: /^.{16,}$/,
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: "S256",
      }),
    answers: {
      "/oauth/authorize_device": ({ form }) => {
        if (form?.["client_id"] !== clientId) return problem(401, "invalid_client")
        const { deviceCode, userCode } = books.device()
        return ok({
          device_code: deviceCode,
          user_code: userCode,
          verification_uri: `${origin()}/oauth/device`,
          verification_uri_complete: `${origin()}/oauth/device?user_code=${userCode}`,
          expires_in: 300,
          interval: 5,
        })
      },
      "/oauth/token": ({ form }) => {
        if (form?.["client_id"] !== clientId || "client_secret" in form) return problem(401, "invalid_client")
        if (form["grant_type"] === "authorization_code") {
          return books.redeems(form) ? tokens() : problem(400, "invalid_grant")
        }
        if (form["grant_type"] === "refresh_token") {
          const token = form["refresh_token"] ?? ""
          if (!books.isRefreshToken(token)) return problem(400, "invalid_grant")
          books.end(token)
          books.end(pairs.get(token))
          return tokens()
        }
        switch (books.fateOf(form)) {
          case "pending":
            return problem(400, "authorization_pending")
          case "denied":
            return problem(400, "access_denied")
          case "granted":
            return tokens(false)
          default:
            return problem(400, "expired_token")
        }
      },
      // An empty hash with 200 whether or not there was such a token, but only to the client's own.
      "/oauth/revoke": ({ form }) => {
        if (form?.["client_id"] !== clientId) return problem(403, "unauthorized_client")
        books.end(form["token"])
        return ok({})
      },
    },
  }
})
