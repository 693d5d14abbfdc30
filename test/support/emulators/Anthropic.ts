/**
 * Anthropic: bodies are JSON, an exchange names the state of its login, a refresh token is good once. Of its errors some are
 * a word, as in the RFC, and some an object.
 */
import { createHash } from "node:crypto"
import { lacks, ok, problem, type Reply, start, type Start } from "./Emulator.ts"
import { makeFamilies, type Pair } from "./Families.ts"

export const clientId = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
export const hostedPages = [
  "https://platform.claude.com/oauth/code/callback",
  "https://console.anthropic.com/oauth/code/callback",
]

const scope =
  "org:create_api_key user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload"

const error = (status: number, type: string, headers: Reply["headers"] = {}): Reply => ({
  status,
  body: { type: "error", error: { type, message: "As Anthropic says it." } },
  headers,
})

export const tooMany = error(429, "rate_limit_error", { "retry-after": "90" })
export const moved = error(404, "not_found_error")
export const overloaded = error(529, "overloaded_error")

const isKnownPage = (redirectUri: string) =>
  hostedPages.includes(redirectUri) || /^http:\/\/localhost:\d+\/callback$/.test(redirectUri)

export const anthropic: Start = start((books) => {
  const families = makeFamilies(books)
  /** By challenge, the state of the login. */
  const states = new Map<string, string>()

  const tokens = ({ access, refresh }: Pair) =>
    ok({
      token_type: "Bearer",
      access_token: access,
      refresh_token: refresh,
      expires_in: 28_800,
      scope,
      organization: { uuid: "00000000-0000-4000-8000-000000000001", name: "Example" },
      account: { uuid: "00000000-0000-4000-8000-000000000002", email_address: "person@example.com" },
    })

  const stateOf = (verifier = "") => states.get(createHash("sha256").update(verifier).digest("base64url"))

  return {
    authorize: "/oauth/authorize",
    token: "/v1/oauth/token",
    objects: (query) => {
      states.set(query.get("code_challenge") ?? "", query.get("state") ?? "")
      if (!isKnownPage(query.get("redirect_uri") ?? "")) return "Invalid request format"
      return lacks(query, {
        code: "true",
        response_type: "code",
        client_id: clientId,
        scope,
        state: /^.{16,}$/,
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: "S256",
      })
    },
    answers: {
      "/v1/oauth/token": ({ json }) => {
        if (json === undefined) return error(400, "invalid_request_error")
        if (json["client_id"] !== clientId) return problem(400, "invalid_client")
        if (json["grant_type"] === "authorization_code") {
          if (json["state"] === undefined || json["state"] !== stateOf(json["code_verifier"])) {
            return error(400, "invalid_request_error")
          }
          return books.redeems(json) ? tokens(families.begin()) : problem(400, "invalid_grant")
        }
        if (json["grant_type"] !== "refresh_token") return problem(400, "unsupported_grant_type")
        const next = families.refresh(json["refresh_token"])
        return typeof next === "string"
          ? problem(400, "invalid_grant", "Refresh token not found or invalid")
          : tokens(next)
      },
    },
  }
})
