/**
 * Qwen, by the login of Qwen Code: a device code with a challenge, which RFC 8628 does not have. The service has ended; what
 * remains is its dialect.
 *
 * All of it is from QwenLM/qwen-code `packages/core/src/qwen/qwenOAuth2.ts`, `qwenContentGenerator.ts` and
 * `openaiContentGenerator/provider/dashscope.ts`. The program also sends an `x-request-id` with the request for a device code,
 * a new one each time, and tells the API its own name and version; that both can do without is on trust. Where it slows down to
 * one and a half of its pace, tokenkeep adds five seconds, as the RFC has it.
 */
import { Predicate } from "effect"
import type { Dialect } from "../oauth/Dialect.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"

/** Where the API is, out of what the token says of it: `portal.qwen.ai` is `https://portal.qwen.ai/v1`. */
export const baseUrlOf = (resource: string): string => {
  const url = (/^https?:\/\//i.test(resource) ? resource : `https://${resource}`).replace(/\/+$/, "")
  return url.endsWith("/v1") ? url : `${url}/v1`
}

export const dialect: Dialect = {
  answer: (answer, { call }) => {
    const { access_token, resource_url } = answer.body
    if (call === "poll" && answer.status === 200 && Predicate.isNullish(access_token) && !("error" in answer.body)) {
      return { ...answer, status: 400, body: { error: "authorization_pending" } }
    }
    if (typeof resource_url !== "string" || resource_url.trim() === "") return answer
    return { ...answer, body: { ...answer.body, api_base_url: baseUrlOf(resource_url.trim()) } }
  },
}

export const qwen: ProviderDefinition = {
  name: "qwen",
  record: {
    endpoints: {
      token: "https://chat.qwen.ai/api/v1/oauth2/token",
      deviceAuthorization: "https://chat.qwen.ai/api/v1/oauth2/device/code",
    },
    clientId: "f0304373b74a44d2b584a3fb70ca9e56",
    scopes: ["openid", "profile", "email", "model.completion"],
    flows: ["device_code"],
    publicFields: ["resource_url", "api_base_url"],
    device: { pkce: "S256", interval: 2 },
    errors: [
      // A 429 with `slow_down` is understood by that; any other one is a limit on requests.
      { calls: ["poll"], status: 401, means: "expired" },
      { calls: ["refresh"], status: 400, means: "relogin" },
      { calls: ["refresh"], status: 401, means: "relogin" },
    ],
    api: {
      baseUrl: "https://dashscope.aliyuncs.com/compatible-mode/v1",
      baseUrlField: "api_base_url",
      hosts: ["*.qwen.ai"],
      headers: { "X-DashScope-AuthType": "qwen-oauth", "X-DashScope-CacheControl": "enable" },
    },
    notice:
      "Qwen ended its free tier on 15 April 2026: a login may succeed, while requests with its token are refused.",
  },
  dialect,
}
