/**
 * What a token is called where the token itself must not be: in the audit log, and in events.
 */
import { Schema } from "effect"

/** SHA-256 of a text in UTF-8, as 64 hexadecimal digits. */
export type Sha256 = (text: string) => string

export const fingerprintLength = 16

/**
 * 64 bits of a token's SHA-256. Nobody gets from there to a token, whose randomness is 128 bits or more, and two of a
 * million tokens share one with a chance of one in 30 million. The same is had with
 * `printf %s "$TOKEN" | sha256sum | cut -c1-16`.
 */
export const fingerprint = (sha256: Sha256, token: string): string => sha256(token).slice(0, fingerprintLength)

export const Fingerprint = Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/))
