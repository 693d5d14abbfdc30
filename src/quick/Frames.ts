/**
 * Frames of the wire, as {@link Frame} has them: as much as one request and its reply need.
 */
import { isObject, type JsonObject } from "./Json.ts"

const maximumBytes = 65_536
const headerBytes = 4
const deepest = 64

/** A frame; what is sent here is never too long for one. */
export const encode = (value: JsonObject): Buffer => {
  const text = JSON.stringify(value)
  const frame = Buffer.allocUnsafe(headerBytes + Buffer.byteLength(text))
  frame.writeUInt32BE(frame.write(text, headerBytes))
  return frame
}

const isShallow = (value: object, left: number): boolean =>
  left > 0 &&
  Object.values(value).every((member) => typeof member !== "object" || member === null || isShallow(member, left - 1))

/** Throws unless it is a frame's. */
const parse = (body: Uint8Array): JsonObject => {
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
  if (!isObject(value) || !isShallow(value, deepest)) throw new Error("not a frame")
  return value
}

/** The first frame in what has come, and what is behind it; undefined while it is not complete. Throws where there is none. */
export const first = (bytes: Buffer): { readonly frame: JsonObject; readonly rest: Buffer } | undefined => {
  if (bytes.length < headerBytes) return undefined
  const length = bytes.readUInt32BE(0)
  if (length === 0 || length > maximumBytes) throw new Error("not a frame")
  const end = headerBytes + length
  if (bytes.length < end) return undefined
  return { frame: parse(bytes.subarray(headerBytes, end)), rest: bytes.subarray(end) }
}
