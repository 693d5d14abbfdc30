/**
 * The words that stand in an account's file and in a provider's record. Nothing here loads Effect, because a program that
 * lives for some milliseconds reads both.
 */

/** Why a refresh can fail. */
export const refreshFailures = [
  "reauth_required",
  "not_entitled",
  "rate_limited",
  "transient",
  /** It was sent, and no answer came that can be understood. */
  "lost",
  "endpoint_moved",
  "misconfigured",
] as const

/** How a refresh can end. */
export const refreshOutcomes = ["refreshed", ...refreshFailures] as const

/** Whether the provider was seen to replace refresh tokens when they are used. */
export const rotations = ["observed", "none", "unknown"] as const

/** The ways to log in. */
export const flowTypes = ["pkce_redirect", "device_code", "browser_redirect"] as const
