/**
 * SHA-256 without waiting, by Node: a fingerprint is made while a request is answered.
 */
import { hash } from "node:crypto"
import { Redacted } from "effect"
import { fingerprint, type Sha256 } from "../domain/Fingerprint.ts"

export const sha256: Sha256 = (text) => hash("sha256", text, "hex")

/** A token's fingerprint. */
export const fingerprintOf = (token: Redacted.Redacted): string => fingerprint(sha256, Redacted.value(token))
