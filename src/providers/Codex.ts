/**
 * OpenAI Codex: a ChatGPT plan, by the login of the Codex CLI, whose client it is; the `originator` is our own.
 *
 * All of it is in openai/codex `codex-rs/login/src/`: the browser in `server.rs`, device codes in `device_code_auth.rs`,
 * refreshing in `auth/manager.rs`, revocation in `auth/revoke.rs`, the claims in `token_data.rs`; the headers of the API in
 * `codex-rs/model-provider/src/bearer_auth_provider.rs`. Its refresh tokens are good once.
 *
 * On trust: that `prompt=consent`, which goes with `offline_access`, is understood, and where the account is named if not
 * where the CLI looks (anomalyco/opencode `packages/opencode/src/plugin/openai/codex.ts` looks in more places).
 */
import { Option } from "effect"
import type { Dialect, VendorAnswer } from "../oauth/Dialect.ts"
import { claimsOf } from "../oauth/JwtClaims.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { type JsonObject, objectIn, textIn } from "../oauth/JsonObject.ts"

/** A poll must name two things; in between they are one device code. */
const packed = (deviceAuthId: string, userCode: string) =>
  new URLSearchParams({ device_auth_id: deviceAuthId, user_code: userCode }).toString()

const unpacked = (deviceCode: string) => Object.fromEntries(new URLSearchParams(deviceCode))

/** Of an ID token or an access token; what OpenAI says of an account is in a claim of its own. */
const accountIn = (claims: JsonObject) => {
  const auth = objectIn(claims["https://api.openai.com/auth"])
  return (
    textIn(auth["chatgpt_account_id"]) ??
    textIn(claims["chatgpt_account_id"]) ??
    textIn(auth["account_id"]) ??
    textIn(claims["account_id"])
  )
}

const organizationIn = ({ organizations }: JsonObject) =>
  Array.isArray(organizations) ? textIn(objectIn(organizations[0])["id"]) : undefined

const isFedramp = (claims: JsonObject) =>
  objectIn(claims["https://api.openai.com/auth"])["chatgpt_account_is_fedramp"] === true

/** Whose tokens these are, as far as they say it. A refresh may bring no ID token; what is known then stays. */
export const account = (body: JsonObject) => {
  const claims = [body["id_token"], body["access_token"]].flatMap((jwt) =>
    typeof jwt === "string" ? Option.toArray(claimsOf(jwt)) : [],
  )
  const found = [...claims.map(accountIn), ...claims.map(organizationIn)].find((id) => id !== undefined)
  return {
    ...(found !== undefined && { account_id: found }),
    ...(claims.some(isFedramp) && { account_is_fedramp: "true" }),
  }
}

const deviceAnswer = (answer: VendorAnswer): VendorAnswer => {
  const deviceAuthId = textIn(answer.body["device_auth_id"])
  const userCode = textIn(answer.body["user_code"]) ?? textIn(answer.body["usercode"])
  if (deviceAuthId === undefined || userCode === undefined) return answer
  return {
    ...answer,
    body: { ...answer.body, user_code: userCode, device_code: packed(deviceAuthId, userCode) },
  }
}

export const dialect: Dialect = {
  request: (request) => {
    const { client_id = "", device_code = "", ...parameters } = request.parameters
    switch (request.call) {
      case "device":
        return { ...request, parameters: { client_id } }
      case "poll":
        return { ...request, parameters: unpacked(device_code) }
      case "revoke":
        // Only for a refresh token does it say whose.
        return parameters["token_type_hint"] === "access_token" ? { ...request, parameters } : request
      default:
        return request
    }
  },
  answer: (answer, { call }) => {
    if (call === "device") return deviceAnswer(answer)
    if (call === "exchange" || call === "refresh")
      return { ...answer, body: { ...answer.body, ...account(answer.body) } }
    return answer
  },
}

export const codex: ProviderDefinition = {
  name: "codex",
  dialect,
  record: {
    endpoints: {
      authorization: "https://auth.openai.com/oauth/authorize",
      token: "https://auth.openai.com/oauth/token",
      deviceAuthorization: "https://auth.openai.com/api/accounts/deviceauth/usercode",
      devicePoll: "https://auth.openai.com/api/accounts/deviceauth/token",
      revocation: "https://auth.openai.com/oauth/revoke",
    },
    clientId: "app_EMoamEEZ73f0CkXaXp7hrann",
    scopes: ["openid", "profile", "email", "offline_access"],
    flows: ["browser_redirect", "device_code", "pkce_redirect"],
    // No other port is registered, and 127.0.0.1 is not. Whoever pastes takes the address of the page that cannot be shown.
    redirectUris: ["http://localhost:1455/auth/callback", "http://localhost:1457/auth/callback"],
    publicFields: ["account_id", "account_is_fedramp"],
    authorizationParameters: {
      id_token_add_organizations: "true",
      codex_cli_simplified_flow: "true",
      originator: "tokenkeep",
    },
    device: {
      pkce: "server-made",
      verificationUri: "https://auth.openai.com/codex/device",
      redirectUri: "https://auth.openai.com/deviceauth/callback",
      lifetime: 900,
    },
    bodies: { device: "json", poll: "json", refresh: "json", revoke: "json" },
    errors: [
      { calls: ["poll"], status: 403, means: "pending" },
      { calls: ["poll"], status: 404, means: "pending" },
      // Device codes are not enabled for the account.
      { calls: ["device"], status: 404, means: "refused" },
      { calls: ["refresh"], status: 401, means: "relogin" },
      { calls: ["refresh"], code: "refresh_token_expired", means: "relogin" },
      { calls: ["refresh"], code: "refresh_token_reused", means: "relogin" },
      { calls: ["refresh"], code: "refresh_token_invalidated", means: "relogin" },
    ],
    expiry: "jwt",
    api: {
      baseUrl: "https://chatgpt.com/backend-api/codex",
      headers: { originator: "tokenkeep" },
      headersFromFields: { "ChatGPT-Account-ID": "account_id", "X-OpenAI-Fedramp": "account_is_fedramp" },
    },
  },
}
