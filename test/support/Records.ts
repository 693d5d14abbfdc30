/**
 * Tokens and records for tests, and what of them can be compared.
 */
import { DateTime, Redacted } from "effect"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { StoredToken } from "../../src/domain/Token.ts"

/** So many seconds after the time at which a test begins. */
export const seconds = (n: number): DateTime.Utc => DateTime.makeUnsafe(n * 1000)

export const tokenOf = (name: string): StoredToken => ({
  accessToken: Redacted.make(`access-${name}`),
  refreshToken: Redacted.make(`refresh-${name}`),
  expiresAt: DateTime.makeUnsafe("2030-01-01T00:00:00Z"),
  scope: "openid offline_access",
  tokenType: "bearer",
  extras: Redacted.make({ account_id: name, nested: { list: [1, null, "x"] } }),
})

/** The record of a login that was never refreshed. */
export const recordOf = (name: string): AccountRecord.AccountRecord =>
  AccountRecord.fromLogin(tokenOf(name), DateTime.makeUnsafe("2026-01-01T00:00:00Z"))

/** A use of a refresh token by a process that is no more. */
export const attemptAt = (n: number, pid = 4242): AccountRecord.Attempt => ({
  at: seconds(n),
  pid,
  refreshTokenHash: "0".repeat(64),
})

/** What of a token can be compared. */
export const inClear = (token: StoredToken) => ({
  ...token,
  accessToken: Redacted.value(token.accessToken),
  refreshToken: token.refreshToken === undefined ? undefined : Redacted.value(token.refreshToken),
  expiresAt: token.expiresAt === undefined ? undefined : DateTime.formatIso(token.expiresAt),
  extras: Redacted.value(token.extras),
})

/** What of a record can be compared. */
export const recordInClear = ({ history, since, token, ...rest }: AccountRecord.AccountRecord) => ({
  ...rest,
  token: inClear(token),
  since: DateTime.formatIso(since),
  history: JSON.parse(JSON.stringify(history)),
})
