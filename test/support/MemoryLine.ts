/**
 * A line without a kernel: what a peer sends is put in by the test, what it gets is read out.
 */
import { Deferred, Effect, Queue, Result } from "effect"
import type { Connection, Line } from "../../src/server/Connection.ts"
import * as Frame from "../../src/server/Frame.ts"

export interface MemoryLine {
  readonly line: Line
  /** From now on what the peer sends goes there. */
  readonly connect: (connection: Connection) => void
  readonly sendBytes: (bytes: Uint8Array) => Effect.Effect<void>
  readonly send: (frame: Frame.JsonObject) => Effect.Effect<void>
  /** The peer says that it will send no more. */
  readonly finish: Effect.Effect<void>
  /** Each write, as one chunk. */
  readonly writes: ReadonlyArray<Uint8Array>
  /** From now on what is written is not taken. */
  readonly stopReading: Effect.Effect<void>
  /** The next frame that is written. */
  readonly receive: Effect.Effect<Frame.JsonObject>
  readonly isClosed: () => boolean
  readonly closed: Effect.Effect<void>
}

export const make: Effect.Effect<MemoryLine> = Effect.gen(function* () {
  const outgoing = yield* Queue.unbounded<Frame.JsonObject>()
  const closed = yield* Deferred.make<void>()
  const writes: Array<Uint8Array> = []
  /** What the connection does not want yet. */
  let kept: Array<Uint8Array> = []
  let isWanted = true
  let isStuck = false
  let peer: Connection | undefined

  const deliver = (): void => {
    const [chunk, ...rest] = kept
    if (!isWanted || peer === undefined || chunk === undefined) return
    kept = rest
    peer.receive(chunk)
    deliver()
  }
  const line: Line = {
    write: (bytes) => {
      writes.push(bytes)
      for (const frame of Result.getOrThrow(new Frame.Decoder().push(bytes))) Queue.offerUnsafe(outgoing, frame)
      return !isStuck
    },
    caughtUp: Effect.suspend(() => (isStuck ? Effect.never : Effect.void)),
    listen: (wanted) => {
      const isNew = wanted && !isWanted
      isWanted = wanted
      if (isNew) queueMicrotask(deliver)
    },
    end: () => {
      Deferred.doneUnsafe(closed, Effect.void)
      peer?.closed()
    },
  }
  const sendBytes = (bytes: Uint8Array) =>
    Effect.andThen(
      Effect.sync(() => {
        kept.push(bytes)
        deliver()
      }),
      Effect.yieldNow,
    )
  return {
    line,
    connect: (connection) => {
      peer = connection
    },
    sendBytes,
    send: (frame) => sendBytes(Result.getOrThrow(Frame.encode(frame))),
    finish: Effect.sync(() => peer?.finish()),
    writes,
    stopReading: Effect.sync(() => {
      isStuck = true
    }),
    receive: Queue.take(outgoing),
    isClosed: () => Deferred.isDoneUnsafe(closed),
    closed: Deferred.await(closed),
  }
})
