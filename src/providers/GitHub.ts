/**
 * GitHub, by device code: the login of an OAuth app or a GitHub App of your own, for which device codes are enabled.
 *
 * There is no client id here: GitHub tells the person which app asks, and of the public ones each is somebody else's. Nor
 * are there scopes: a GitHub App has none, and an OAuth app without any reads what is public.
 *
 * `"extends": "github"` with endpoints on another domain is GitHub Enterprise; the paths are the same. Endpoints and the
 * errors in answers with status 200 are in cli/oauth `device/device_flow.go`; tokens that expire, with numbers as strings, in
 * GitHub's change note of 2020-04-30 and apache/maka#3390; `bad_refresh_token` in coder/coder `coderd/externalauth/`. No
 * revocation: it asks for the app's secret.
 *
 * On trust: that a GitHub App needs no secret to refresh a token that a device code brought.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const github: ProviderDefinition = {
  name: "github",
  record: {
    endpoints: {
      token: "https://github.com/login/oauth/access_token",
      deviceAuthorization: "https://github.com/login/device/code",
    },
    scopes: [],
    flows: ["device_code"],
    // Without it the answers are forms.
    headers: { accept: "application/json" },
    errors: [{ calls: ["refresh"], code: "bad_refresh_token", means: "relogin" }],
    api: { baseUrl: "https://api.github.com" },
  },
}
