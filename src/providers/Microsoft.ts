/**
 * Microsoft Entra ID and personal Microsoft accounts, with a client of one's own (an app registration with the platform
 * "Mobile and desktop applications", and "Allow public client flows" for device codes).
 *
 * The endpoints are those of `common`, which everybody may use whom the registration lets in. They are given because the
 * metadata of `common` cannot be: it names the issuer `https://login.microsoftonline.com/{tenantid}/v2.0`, with the braces
 * (MicrosoftDocs/azure-docs#38427). For one tenant the configuration says an `issuer` instead, with the tenant's ID and not
 * its name: `https://login.microsoftonline.com/<ID>/v2.0`.
 *
 * Sources are the pages of learn.microsoft.com/entra/identity-platform: v2-oauth2-device-code (errors of a poll, no
 * `verification_uri_complete`), v2-oauth2-auth-code-flow, refresh-tokens (a new one each time, the old one stays good),
 * reply-url (`http://localhost` is matched without its port; 127.0.0.1 cannot be typed in at the portal); and MSAL's
 * `InteractionRequiredAuthErrorCodes.ts` for what asks for a new login. There is no revocation of one token. Nothing of it was
 * tried at Microsoft itself.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"

export const microsoft: ProviderDefinition = {
  name: "microsoft",
  record: {
    endpoints: {
      authorization: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
      token: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
      deviceAuthorization: "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
    },
    clientAuthentication: "post",
    // Whoever asks for others names `offline_access` again: without it there is no refresh token.
    scopes: ["User.Read", "offline_access"],
    flows: ["browser_redirect", "device_code", "pkce_redirect"],
    // The second is Microsoft's own page for programs that have none: it is empty, and its address is what is pasted.
    redirectUris: ["http://localhost/callback", "https://login.microsoftonline.com/common/oauth2/nativeclient"],
    // Consent is asked for where it is missing; asked for each time, only administrators could log in at many a tenant.
    authorizationParameters: { prompt: "select_account" },
    errors: [
      { calls: ["poll"], code: "authorization_declined", means: "denied" },
      { calls: ["poll"], code: "bad_verification_code", means: "expired" },
      { calls: ["refresh"], code: "bad_token", means: "relogin" },
    ],
    api: { baseUrl: "https://graph.microsoft.com" },
  },
}
