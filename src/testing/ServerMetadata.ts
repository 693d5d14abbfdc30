/**
 * Where the scripted server's endpoints are, and its metadata (RFC 8414, OpenID Connect Discovery).
 */
import { Option } from "effect"
import type { Client } from "./ClientAuthentication.ts"
import type { Policy } from "./Policy.ts"

export const urlsOf = (issuer: string) => ({
  issuer,
  authorization: `${issuer}/authorize`,
  token: `${issuer}/token`,
  deviceAuthorization: `${issuer}/device_authorization`,
  /** Where a person enters a device code. */
  verification: `${issuer}/device`,
  revocation: `${issuer}/revoke`,
  /** Takes an access token, and tells whether it is good. */
  resource: `${issuer}/resource`,
  /** Where the behaviour `redirect` leads. */
  elsewhere: `${issuer}/elsewhere`,
})
export type Urls = ReturnType<typeof urlsOf>

export const documentOf = (urls: Urls, { secret }: Client, { metadataIssuer = urls.issuer, revocation }: Policy) => ({
  issuer: metadataIssuer,
  authorization_endpoint: urls.authorization,
  token_endpoint: urls.token,
  device_authorization_endpoint: urls.deviceAuthorization,
  ...(revocation !== "none" && { revocation_endpoint: urls.revocation }),
  response_types_supported: ["code"],
  grant_types_supported: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
  token_endpoint_auth_methods_supported: Option.isSome(secret)
    ? ["client_secret_basic", "client_secret_post"]
    : ["none"],
  authorization_response_iss_parameter_supported: true,
  code_challenge_methods_supported: ["S256"],
})
