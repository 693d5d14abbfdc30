/**
 * SHA-256 without waiting, by Node: a fingerprint is made while a request is answered.
 */
import { hash } from "node:crypto"
import type { Sha256 } from "../domain/Fingerprint.ts"

export const sha256: Sha256 = (text) => hash("sha256", text, "hex")
