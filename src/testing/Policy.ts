/**
 * How the scripted server treats every login, until it is told otherwise.
 */
import { Duration } from "effect"

export interface Policy {
  /** Whether a refresh brings a new refresh token, or leaves the old one as it is and brings none. */
  readonly rotation: "rotate" | "keep"
  /**
   * For how long the previous refresh token still works, counted from its first use. A further valid pair is issued for
   * it. It ends early when its successor is used, because then the client has it.
   */
  readonly grace: Duration.Duration
  /** What a refresh token that was used before, outside the grace, does to all others of its login. */
  readonly reuse: "revoke-family" | "refuse"
  readonly accessTokenLifetime: Duration.Duration
  /** The issuer that the metadata names, if not the true one. */
  readonly metadataIssuer?: string | undefined
  /** What a revocation does: end the login, fail with 503, never answer; or there is no endpoint for it. */
  readonly revocation: "works" | "fails" | "hangs" | "none"
  /** How far the server's clock, as its `Date` headers tell it, is ahead. */
  readonly clockSkew: Duration.Duration
}

/** What is to be different. */
export interface Changes {
  readonly rotation?: Policy["rotation"]
  readonly grace?: Duration.Input
  readonly reuse?: Policy["reuse"]
  readonly accessTokenLifetime?: Duration.Input
  readonly metadataIssuer?: string | undefined
  readonly revocation?: Policy["revocation"]
  readonly clockSkew?: Duration.Input
}

/** What RFC 9700 section 4.14.2 asks for. */
export const strict: Policy = {
  rotation: "rotate",
  grace: Duration.zero,
  reuse: "revoke-family",
  accessTokenLifetime: Duration.hours(1),
  revocation: "works",
  clockSkew: Duration.zero,
}

export const change = (policy: Policy, changes: Changes): Policy => ({
  rotation: changes.rotation ?? policy.rotation,
  grace: Duration.fromInputUnsafe(changes.grace ?? policy.grace),
  reuse: changes.reuse ?? policy.reuse,
  accessTokenLifetime: Duration.fromInputUnsafe(changes.accessTokenLifetime ?? policy.accessTokenLifetime),
  metadataIssuer: "metadataIssuer" in changes ? changes.metadataIssuer : policy.metadataIssuer,
  revocation: changes.revocation ?? policy.revocation,
  clockSkew: Duration.fromInputUnsafe(changes.clockSkew ?? policy.clockSkew),
})
