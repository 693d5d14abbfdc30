/**
 * Anthropic: Claude Pro and Max, by the login of Claude Code. Its refresh tokens are good once.
 *
 * Endpoints, client, scopes and the JSON bodies are those of earendil-works/pi `packages/ai/src/utils/oauth/anthropic.ts`;
 * that the exchange names the state is documented in CaddyGlow/ccproxy-api `oauth_claude/client.py`. The token endpoint
 * has moved before, from console.anthropic.com (Wei-Shaw/claude-relay-service#1207).
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
    scopes: ["org:create_api_key", "user:profile", "user:inference"],
    flows: ["browser_redirect", "pkce_redirect"],
    // The host name must be `localhost`, any port will do; the page shows a code to paste.
    redirectUris: ["http://localhost/callback", "https://console.anthropic.com/oauth/code/callback"],
    authorizationParameters: { code: "true" },
    stateInExchange: true,
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
