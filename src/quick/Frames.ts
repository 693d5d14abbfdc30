/**
 * Frames of the wire, as much as one request and its reply need.
 */
import { headerBytes, type JsonObject, maximumBytes, parse } from "../server/FrameBytes.ts"

/** The first frame in what has come, and what is behind it; undefined while it is not complete. Throws where there is none. */
export const first = (bytes: Buffer): { readonly frame: JsonObject; readonly rest: Buffer } | undefined => {
  if (bytes.length < headerBytes) return undefined
  const length = bytes.readUInt32BE(0)
  if (length === 0 || length > maximumBytes) throw new Error("not a frame")
  const end = headerBytes + length
  if (bytes.length < end) return undefined
  const frame = parse(bytes.subarray(headerBytes, end))
  if (frame === undefined) throw new Error("not a frame")
  return { frame, rest: bytes.subarray(end) }
}
