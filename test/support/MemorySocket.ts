/**
 * A socket without a kernel: what a peer sends is put in by the test, what it gets is read out.
 */
import { Effect, Queue, Result } from "effect"
import { Socket } from "effect/socket"
import * as Frame from "../../src/server/Frame.ts"

export interface MemorySocket {
  readonly socket: Socket.Socket
  readonly sendBytes: (bytes: Uint8Array) => Effect.Effect<void>
  readonly send: (frame: Frame.JsonObject) => Effect.Effect<void>
  /** Each write, as one chunk. */
  readonly writes: ReadonlyArray<Uint8Array>
  /** From now on a write does not end. */
  readonly stopReading: Effect.Effect<void>
  /** The next frame that is written. */
  readonly receive: Effect.Effect<Frame.JsonObject>
}

const closed = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })

export const make: Effect.Effect<MemorySocket> = Effect.gen(function* () {
  const incoming = yield* Queue.unbounded<Uint8Array>()
  const outgoing = yield* Queue.unbounded<Frame.JsonObject>()
  const writes: Array<Uint8Array> = []
  let isStuck = false
  const write = (chunk: Uint8Array | string | Socket.CloseEvent) =>
    Effect.suspend(() => {
      if (!(chunk instanceof Uint8Array)) return Effect.fail(closed)
      if (isStuck) return Effect.never
      writes.push(chunk)
      return Queue.offerAll(outgoing, Result.getOrThrow(Frame.makeDecoder().push(chunk))).pipe(Effect.asVoid)
    })
  const socket = Socket.make({
    reader: Effect.succeed({
      pull: Effect.map(Queue.take(incoming), (chunk) => [chunk] as const),
      upgrade: Socket.SocketUpgradeError.unsupported,
    }),
    writer: Effect.succeed({ write, writeAll: (chunks) => Effect.forEach(chunks, write, { discard: true }) }),
  })
  const sendBytes = (bytes: Uint8Array) => Effect.asVoid(Queue.offer(incoming, bytes))
  return {
    socket,
    sendBytes,
    send: (frame) => sendBytes(Result.getOrThrow(Frame.encode(frame))),
    writes,
    stopReading: Effect.sync(() => {
      isStuck = true
    }),
    receive: Queue.take(outgoing),
  }
})
