/**
 * The name of the file of something that may be called anything, as accounts are. It is a safe one: lower-case ASCII, so that
 * file systems that fold case keep names apart, never `.` or `..`, never longer than a file name may be.
 */
import { Effect, Option, Schema } from "effect"
import { Digest } from "effect/crypto"
import { escaped, longest } from "./SafeName.ts"

/** Encodes one name. */
export const encode = Effect.fnUntraced(function* (name: string): Effect.fn.Return<string, never, Digest.Digest> {
  const bytes = new TextEncoder().encode(name)
  const whole = escaped(bytes)
  if (whole.length <= longest) return whole
  const digest = yield* Digest.Digest
  return `${whole.slice(0, 100)}~${yield* digest.digestHex(Digest.sha256, bytes)}`
})

/** What a file's name says of the name that was encoded. */
export type Decoded = "not ours" | "too long to tell" | { readonly name: string }

const decodeUri = Schema.decodeOption(Schema.StringFromUriComponent)

/** The name that was encoded, where the file's name is one that we would have made. */
export const decode = (encoded: string): Decoded => {
  if (/^[a-z0-9_%-]{98,100}~[0-9a-f]{64}$/.test(encoded)) return "too long to tell"
  const name = Option.getOrUndefined(decodeUri(encoded))
  return name !== undefined && name !== "" && escaped(new TextEncoder().encode(name)) === encoded
    ? { name }
    : "not ours"
}
