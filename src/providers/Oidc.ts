/**
 * Any OpenID Connect issuer, found by its metadata: the configuration says its `issuer` and the `clientId`, under whatever
 * name, with `"extends": "oidc"`. A client that may use no device codes is logged in by a browser.
 *
 * OpenID Connect Core section 11: `offline_access` is what a refresh token is asked for with. Issuers that do not know it may
 * refuse it; then the configuration says other `scopes`.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const oidc: ProviderDefinition = {
  name: "oidc",
  record: {
    scopes: ["openid", "offline_access"],
    flows: ["device_code", "browser_redirect"],
    redirectUris: ["http://127.0.0.1/callback"],
  },
}
