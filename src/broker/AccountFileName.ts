/**
 * The name of an account's file. Any provider or bucket name becomes a safe one: lower-case ASCII, so that file systems
 * that fold case keep accounts apart, never `.` or `..`, never longer than a file name may be.
 */
import { Effect, Option, Schema } from "effect"
import { Digest } from "effect/crypto"

const safe = /[a-z0-9_-]/

/** Beyond this the rest is replaced by a hash; file systems allow 255 bytes, and temporary files need a suffix. */
const longest = 180

const escape = (byte: number): string => {
  const character = String.fromCharCode(byte)
  return safe.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`
}

/** Encodes one name. */
export const encode = Effect.fnUntraced(function* (name: string): Effect.fn.Return<string, never, Digest.Digest> {
  const bytes = new TextEncoder().encode(name)
  const escaped = Array.from(bytes, escape).join("")
  if (escaped.length <= longest) return escaped
  const digest = yield* Digest.Digest
  return `${escaped.slice(0, 100)}~${yield* digest.digestHex(Digest.sha256, bytes)}`
})

/** The name that was encoded; none if it was too long, and is only known from inside the file. */
export const decode = (encoded: string): Option.Option<string> =>
  encoded.includes("~") ? Option.none() : Schema.decodeOption(Schema.StringFromUriComponent)(encoded)
