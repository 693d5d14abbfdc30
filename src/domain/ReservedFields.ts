/**
 * The names that no provider may list as public: secrets of the grant, and fields that are already there.
 */
export const reservedFields: ReadonlyArray<string> = [
  "access_token",
  "refresh_token",
  "id_token",
  "expires_in",
  "expiry",
  "token_type",
  "scope",
  "client_secret",
  "code",
  "code_verifier",
  "device_code",
  "__proto__",
]
