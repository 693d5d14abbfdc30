/**
 * Qwen: a challenge with the request for a device code and the verifier with each poll, no interval, a 429 that means to slow
 * down and one that does not, a null token in a 200, and a 401 for a code that is over.
 */
import { ok, problem, type Reply, start, type Start } from "./Emulator.ts"

const clientId = "f0304373b74a44d2b584a3fb70ca9e56"

export const slowDown = problem(429, "slow_down", "Poll less.")
/** A real limit on requests. */
export const tooMany: Reply = { status: 429, body: { error: "too_many_requests" }, headers: { "retry-after": "60" } }
/** Granted, but the token is not there yet. */
export const notYet = ok({ access_token: null, refresh_token: null, token_type: null, expires_in: null })

export const qwen: Start = start((books) => {
  const tokens = (more: { readonly [name: string]: unknown }) => {
    const { access, refresh } = books.issue()
    return ok({ access_token: access, refresh_token: refresh, token_type: "Bearer", expires_in: 21_600, ...more })
  }
  return {
    authorize: "/none",
    token: "/api/v1/oauth2/token",
    device: "/api/v1/oauth2/device/code",
    objects: () => "there is no such page",
    answers: {
      "/api/v1/oauth2/device/code": ({ form }) => {
        if (form?.["client_id"] !== clientId) return problem(400, "invalid_client")
        if (form["scope"] !== "openid profile email model.completion") return problem(400, "invalid_scope")
        if (form["code_challenge_method"] !== "S256" || !/^[\w-]{43}$/.test(form["code_challenge"] ?? "")) {
          return problem(400, "invalid_request", "code_challenge is required")
        }
        const { deviceCode, userCode } = books.device(form["code_challenge"])
        return ok({
          device_code: deviceCode,
          user_code: userCode,
          verification_uri: "https://chat.qwen.ai/authorize",
          verification_uri_complete: `https://chat.qwen.ai/authorize?user_code=${userCode}&client=qwen-code`,
          expires_in: 900,
        })
      },
      "/api/v1/oauth2/token": ({ form }) => {
        if (form?.["client_id"] !== clientId) return problem(400, "invalid_client")
        if (form["grant_type"] === "refresh_token") {
          return books.isRefreshToken(form["refresh_token"])
            ? tokens({})
            : problem(400, "invalid_request", "the refresh token is not known")
        }
        switch (books.fateOf(form)) {
          case "pending":
            return problem(400, "authorization_pending")
          case "denied":
            return problem(400, "access_denied")
          case "granted":
            return tokens({ resource_url: "portal.qwen.ai" })
          default:
            return { status: 401, body: { error: "unauthorized", error_description: "the code is over" } }
        }
      },
    },
  }
})
