/**
 * Anthropic: Claude Pro and Max, by the login of Claude Code. Its refresh tokens are good once.
 *
 * Endpoints, scopes and the JSON bodies are those of earendil-works/pi `packages/ai/src/utils/oauth/anthropic.ts`, and so is
 * that the exchange names the state. Wei-Shaw/claude-relay-service `src/utils/oauthHelper.js` has the same, and the page
 * on platform.claude.com. The token endpoint was at console.anthropic.com before, which is said to answer 404
 * (claude-relay-service#1207): an address that has nothing ends no login. Neither names an endpoint for revocation.
 *
 * On trust: that all six scopes are needed (older programs ask for the first three), that both pages still show a code,
 * and that the token endpoint answers a client of any name; some were told 429 or 404
 * (griffinmartin/opencode-claude-auth#60).
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const anthropic: ProviderDefinition = {
  name: "anthropic",
  record: {
    endpoints: {
      authorization: "https://claude.ai/oauth/authorize",
      token: "https://platform.claude.com/v1/oauth/token",
    },
    clientId: "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    scopes: [
      "org:create_api_key",
      "user:profile",
      "user:inference",
      "user:sessions:claude_code",
      "user:mcp_servers",
      "user:file_upload",
    ],
    flows: ["browser_redirect", "pkce_redirect"],
    // The host name must be `localhost`, any port will do; the pages show a code to paste. The first of them is used.
    redirectUris: [
      "http://localhost/callback",
      "https://platform.claude.com/oauth/code/callback",
      "https://console.anthropic.com/oauth/code/callback",
    ],
    authorizationParameters: { code: "true" },
    stateInExchange: true,
    pasted: "code#state",
    bodies: { exchange: "json", refresh: "json" },
    api: {
      baseUrl: "https://api.anthropic.com",
      headers: { "anthropic-version": "2023-06-01" },
      mergedHeaders: { "anthropic-beta": ["oauth-2025-04-20"] },
      removedHeaders: ["x-api-key"],
    },
    notice:
      "Anthropic's terms allow logins of Free, Pro and Max plans in Claude Code and its own apps only; other uses may be refused.",
  },
}
