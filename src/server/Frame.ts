/**
 * Frames, as {@link FrameBytes} has them, made and put together again. Pure: bytes in, objects out.
 */
import { Data, Result } from "effect"
import * as FrameBytes from "./FrameBytes.ts"
import { encodeTexts, headerBytes, type JsonObject, maximumBytes } from "./FrameBytes.ts"

/** The rest of what a frame is, for whoever has this. */
export { encodeTexts, isObject, type JsonObject, maximumBytes } from "./FrameBytes.ts"

/** What came is not a frame. There is no way to find the next one, so the connection must be closed. */
export class FrameInvalid extends Data.TaggedError("FrameInvalid")<{
  readonly what: "too large" | "not a JSON object"
}> {
  override get message(): string {
    return `A frame was ${this.what}.`
  }
}

/** Whether a text is short enough for a frame. */
export const fits = (text: string): boolean =>
  // No character takes more than three bytes for each of its code units, so most texts need not be measured.
  text.length * 3 <= maximumBytes || Buffer.byteLength(text) <= maximumBytes

/** A frame that holds `value`. */
export const encode = (value: JsonObject): Result.Result<Uint8Array, FrameInvalid> => {
  const text = JSON.stringify(value)
  return fits(text) ? Result.succeed(encodeTexts([text])) : Result.fail(new FrameInvalid({ what: "too large" }))
}

const invalid = Result.fail(new FrameInvalid({ what: "not a JSON object" }))

const parse = (body: Uint8Array): Result.Result<JsonObject, FrameInvalid> => {
  const parsed = Result.try(() => FrameBytes.parse(body))
  return Result.isSuccess(parsed) && parsed.success !== undefined ? Result.succeed(parsed.success) : invalid
}

/** Puts frames together from chunks cut anywhere. After a failure it is of no more use. */
export class Decoder {
  readonly #header = Buffer.alloc(headerBytes)
  #headerFilled = 0
  // Allocated once the length is known and allowed, then filled in place: bytes that come one by one cost no copying.
  #body: Buffer | undefined
  #bodyFilled = 0

  /** Whether a frame has begun that is not complete. */
  get isPartial(): boolean {
    return this.#headerFilled > 0
  }

  /** The frames that are complete with this chunk. */
  push(chunk: Uint8Array): Result.Result<ReadonlyArray<JsonObject>, FrameInvalid> {
    const frames: Array<JsonObject> = []
    let at = 0
    while (at < chunk.byteLength) {
      const end = this.#headerFilled === 0 ? endOfFrame(chunk, at) : undefined
      if (end !== undefined) {
        const frame = parse(chunk.subarray(at + headerBytes, end))
        if (Result.isFailure(frame)) return Result.fail(frame.failure)
        frames.push(frame.success)
        at = end
        continue
      }
      if (this.#body === undefined) {
        const taken = fill(this.#header, this.#headerFilled, chunk, at)
        this.#headerFilled += taken
        at += taken
        if (this.#headerFilled < headerBytes) break
        const length = this.#header.readUInt32BE(0)
        if (length > maximumBytes) return Result.fail(new FrameInvalid({ what: "too large" }))
        // An empty body is not JSON; nothing more would ever come to complete it.
        if (length === 0) return Result.fail(new FrameInvalid({ what: "not a JSON object" }))
        this.#body = Buffer.allocUnsafe(length)
        this.#bodyFilled = 0
      }
      const taken = fill(this.#body, this.#bodyFilled, chunk, at)
      this.#bodyFilled += taken
      at += taken
      if (this.#bodyFilled < this.#body.byteLength) break
      const frame = parse(this.#body)
      if (Result.isFailure(frame)) return Result.fail(frame.failure)
      frames.push(frame.success)
      this.#headerFilled = 0
      this.#body = undefined
    }
    return Result.succeed(frames)
  }
}

/** Where the frame ends that begins there, if it is all in the chunk and has a length that is allowed. */
const endOfFrame = (chunk: Uint8Array, at: number): number | undefined => {
  const length =
    (chunk[at] ?? 0) * 0x100_0000 +
    (chunk[at + 1] ?? 0) * 0x1_0000 +
    (chunk[at + 2] ?? 0) * 0x100 +
    (chunk[at + 3] ?? 0)
  const end = at + headerBytes + length
  return length > 0 && length <= maximumBytes && end <= chunk.byteLength ? end : undefined
}

/** Moves bytes of the chunk into `target`, and says how many those were. */
const fill = (target: Buffer, filled: number, chunk: Uint8Array, at: number): number => {
  const taken = chunk.subarray(at, at + target.byteLength - filled)
  target.set(taken, filled)
  return taken.byteLength
}
