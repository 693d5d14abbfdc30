/**
 * A login that nobody had to go through: tokens as a broker would have stored them.
 */
import type { DateTime, Redacted } from "effect"
import type { StoredToken } from "../domain/Token.ts"

export interface Login {
  /** The number of its family. */
  readonly family: number
  readonly token: StoredToken & { readonly refreshToken: Redacted.Redacted; readonly expiresAt: DateTime.Utc }
}
