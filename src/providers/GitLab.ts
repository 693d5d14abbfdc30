/**
 * GitLab, with an application of one's own, registered without "Confidential". Its refresh tokens are good once, and a refresh
 * ends the access token before it too.
 *
 * Sources are docs.gitlab.com/api/oauth2 (endpoints, PKCE, device codes since 17.9, revocation) and
 * docs.gitlab.com/integration/oauth_provider (scopes), and doorkeeper's `uri_checker.rb`: of a loopback redirect URI the port
 * may be any, but only where the host is a number. The example there of what a device code brings has no refresh token, so the
 * browser comes first. On trust is that a refresh need not name the redirect URI, as those pages do: golang/oauth2 does not.
 *
 * For a GitLab elsewhere the configuration says `"extends": "gitlab"` and its `endpoints`: the token endpoint and each of the
 * others, as none of gitlab.com's is used then.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const gitlab: ProviderDefinition = {
  name: "gitlab",
  record: {
    endpoints: {
      authorization: "https://gitlab.com/oauth/authorize",
      token: "https://gitlab.com/oauth/token",
      deviceAuthorization: "https://gitlab.com/oauth/authorize_device",
      revocation: "https://gitlab.com/oauth/revoke",
    },
    clientAuthentication: "post",
    flows: ["browser_redirect", "device_code"],
    redirectUris: ["http://127.0.0.1/callback"],
    api: { baseUrl: "https://gitlab.com/api/v4" },
  },
}
