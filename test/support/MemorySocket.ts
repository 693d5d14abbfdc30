/**
 * A socket without a kernel: what a peer sends is put in by the test, what it gets is read out.
 */
import { Effect, Queue, Result } from "effect"
import { Socket } from "effect/socket"
import type { Sink } from "../../src/server/Connection.ts"
import * as Frame from "../../src/server/Frame.ts"

export interface MemorySocket {
  readonly socket: Socket.Socket
  readonly sink: Sink
  readonly sendBytes: (bytes: Uint8Array) => Effect.Effect<void>
  readonly send: (frame: Frame.JsonObject) => Effect.Effect<void>
  /** Each write, as one chunk. */
  readonly writes: ReadonlyArray<Uint8Array>
  /** From now on what is written is not taken. */
  readonly stopReading: Effect.Effect<void>
  /** The next frame that is written. */
  readonly receive: Effect.Effect<Frame.JsonObject>
}

export const make: Effect.Effect<MemorySocket> = Effect.gen(function* () {
  const incoming = yield* Queue.unbounded<Uint8Array>()
  const outgoing = yield* Queue.unbounded<Frame.JsonObject>()
  const writes: Array<Uint8Array> = []
  let isStuck = false
  const sink: Sink = {
    write: (bytes) => {
      if (isStuck) return false
      writes.push(bytes)
      for (const frame of Result.getOrThrow(Frame.makeDecoder().push(bytes))) Queue.offerUnsafe(outgoing, frame)
      return true
    },
    drained: Effect.suspend(() => (isStuck ? Effect.never : Effect.void)),
  }
  const socket = Socket.make({
    reader: Effect.succeed({
      pull: Effect.map(Queue.take(incoming), (chunk) => [chunk] as const),
      upgrade: Socket.SocketUpgradeError.unsupported,
    }),
    writer: Effect.die("a connection writes to its sink"),
  })
  const sendBytes = (bytes: Uint8Array) => Effect.asVoid(Queue.offer(incoming, bytes))
  return {
    socket,
    sink,
    sendBytes,
    send: (frame) => sendBytes(Result.getOrThrow(Frame.encode(frame))),
    writes,
    stopReading: Effect.sync(() => {
      isStuck = true
    }),
    receive: Queue.take(outgoing),
  }
})
