/**
 * What a frame is made of: a length of four bytes, big-endian, and so many bytes of UTF-8 JSON, one object. Nothing here
 * loads Effect, because a program that lives for some milliseconds asks a host, too.
 */

/** A peer cannot make us hold more than this per frame; well above any request or reply. */
export const maximumBytes = 65_536

/** The bytes of the length. */
export const headerBytes = 4

/** A JSON object, as it came. */
export type JsonObject = { readonly [name: string]: unknown }

/** Whether a value is an object of JSON, and no array. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Frames for texts that fit, one behind the other. */
export const encodeTexts = (texts: ReadonlyArray<string>): Uint8Array => {
  const buffer = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + headerBytes + Buffer.byteLength(text), 0))
  let at = 0
  for (const text of texts) {
    const length = buffer.write(text, at + headerBytes, "utf8")
    at = buffer.writeUInt32BE(length, at) + length
  }
  return buffer
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The object in the body of a frame; undefined if there is none, or if it is too deep. Throws if it is no text, or no JSON. */
export const parse = (body: Uint8Array): JsonObject | undefined => {
  const value: unknown = JSON.parse(utf8.decode(body))
  return isObject(value) && isShallow(value, deepest) ? value : undefined
}

/** Deeper than any token; who comes after us may walk through it by recursion. */
const deepest = 64

/** Without a copy of the members, because it is asked of every frame. What JSON made has none but its own. */
const isShallow = (value: object, left: number): boolean => {
  if (left === 0) return false
  for (const name in value) {
    const member: unknown = Reflect.get(value, name)
    if (typeof member === "object" && member !== null && !isShallow(member, left - 1)) return false
  }
  return true
}
