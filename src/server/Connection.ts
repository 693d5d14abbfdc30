/**
 * One connection, from handshake to drain: frames in, one write per reply out.
 *
 * The peer is the least trusted program on the machine. So whatever it sends is bounded in size, time and number, and
 * what cannot be understood closes the connection and nothing else.
 */
import { Clock, Data, Deferred, Duration, Effect, Fiber, FiberSet, Option, Result, Schema } from "effect"
import { Socket } from "effect/socket"
import { CurrentPeer } from "../broker/CurrentPeer.ts"
import { Cancelled, HostFailure, InvalidRequest, RateLimited } from "../domain/Errors.ts"
import type { Peer } from "../domain/Peer.ts"
import { printable } from "../domain/RemoteText.ts"
import { Admission } from "./Admission.ts"
import * as Frame from "./Frame.ts"
import type { Handle } from "./Handlers.ts"
import type { Credentials } from "./PeerCredentials.ts"
import * as Protocol from "./Protocol.ts"
import * as RateLimit from "./RateLimit.ts"

export interface Options {
  readonly socket: Socket.Socket
  readonly credentials: Option.Option<Credentials>
  readonly handle: Handle
  /** Requests per second; 0 for any number. */
  readonly rateLimit: number
  /** Returns when the server shuts down. */
  readonly draining: Effect.Effect<void>
}

/** Requests that one connection may have under way; each holds a fiber, and later a reply. */
const maximumInFlight = 64

/** How long a reply may wait for a peer that does not read. */
const writeTimeLimit = Duration.seconds(10)

/** Frames taken from one chunk before other connections get a turn. */
const framesPerTurn = 100

/** How long requests under way may go on when the server shuts down. */
export const drainTime = Duration.seconds(5)

/** The peer broke the rules of the wire, or left. */
class Hangup extends Data.TaggedError("Hangup")<{ readonly why: string }> {}

const decodeHandshake = Schema.decodeUnknownOption(Protocol.Handshake)
const decodeRequest = Schema.decodeUnknownOption(Protocol.Request)
const decodeId = Schema.decodeUnknownOption(Schema.Struct({ id: Protocol.Request.fields.id }))
const decodeCancel = Schema.decodeUnknownOption(Schema.Struct({ targetId: Schema.String }))

/** Serves one connection until the peer leaves, breaks a rule, or the server shuts down. */
export const serve = Effect.fnUntraced(
  function* ({ credentials, draining, handle, rateLimit, socket }: Options) {
    const admission = yield* Admission
    const pull = yield* Socket.readerBytes(socket)
    const writer = yield* socket.writer
    const requests = yield* FiberSet.make<void, never>()
    const nextFrames = makeReader(pull)

    const stuck = yield* Deferred.make<never, Hangup>()
    const send = (reply: Frame.JsonObject) =>
      Effect.fromResult(Frame.encode(reply)).pipe(
        Effect.flatMap((frame) => writer.write(frame)),
        Effect.timeoutOrElse({
          duration: writeTimeLimit,
          orElse: () => Deferred.fail(stuck, new Hangup({ why: "the peer does not read its replies" })),
        }),
      )

    const greet = Effect.gen(function* () {
      const [first, ...rest] = yield* nextFrames
      const handshake = decodeHandshake(first)
      if (Option.isNone(handshake)) return yield* new Hangup({ why: "no handshake" })
      const { payload } = handshake.value
      const version = Protocol.negotiate(payload)
      if (Option.isNone(version)) {
        yield* send(refused("UNKNOWN_VERSION", "None of the versions offered is spoken here."))
        return yield* new Hangup({ why: "no common version" })
      }
      const peer = yield* admission.admit(credentials, Option.fromUndefinedOr(payload.capabilityToken)).pipe(
        Effect.tapError((error) => send(refused("UNAUTHORIZED", error.message))),
        Effect.mapError(() => new Hangup({ why: "not admitted" })),
      )
      yield* send({ v: version.value, op: "handshake", ok: true, data: { version: version.value } })
      return { version: version.value, peer, rest }
    }).pipe(
      Effect.timeoutOrElse({
        duration: Protocol.frameTimeLimit,
        orElse: () => Effect.fail(new Hangup({ why: "no handshake in time" })),
      }),
    )

    const converse = Effect.gen(function* () {
      const { peer, rest, version } = yield* greet
      const take = makeRequests({ handle, peer, rateLimit, requests, send, version })
      let frames: ReadonlyArray<Frame.JsonObject> = rest
      while (true) {
        for (const [index, frame] of frames.entries()) {
          if (index > 0 && index % framesPerTurn === 0) yield* Effect.yieldNow
          yield* take(frame)
        }
        frames = yield* nextFrames
      }
    })

    yield* Effect.raceAllFirst([converse, draining, Deferred.await(stuck)])
    yield* FiberSet.awaitEmpty(requests).pipe(Effect.timeoutOption(drainTime))
  },
  Effect.scoped,
  Effect.catchTag("Hangup", ({ why }) => Effect.logDebug(`Connection closed: ${why}`)),
  // The peer left, or is no longer there to be told anything.
  Effect.catchTag(["SocketError", "FrameInvalid"], () => Effect.void),
)

const refused = (code: Protocol.WireCode, error: string): Frame.JsonObject => ({
  v: Protocol.versions[0],
  op: "handshake",
  ok: false,
  code,
  error,
})

/** The frames that come next, at least one. A frame that has begun must be complete in time. */
const makeReader = (pull: Effect.Effect<ReadonlyArray<Uint8Array>, Socket.SocketError>) => {
  const decoder = Frame.makeDecoder()
  let begunAt = 0n

  const chunks = Effect.gen(function* () {
    if (!decoder.isPartial()) return yield* pull
    const elapsed = Duration.nanos((yield* Clock.monotonicTimeNanos) - begunAt)
    return yield* pull.pipe(
      Effect.timeoutOrElse({
        duration: Duration.max(Duration.zero, Duration.subtract(Protocol.frameTimeLimit, elapsed)),
        orElse: () => Effect.fail(new Hangup({ why: "a frame was not completed in time" })),
      }),
    )
  })

  return Effect.gen(function* () {
    const frames: Array<Frame.JsonObject> = []
    while (frames.length === 0) {
      const wasPartial = decoder.isPartial()
      for (const chunk of yield* chunks) {
        const decoded = decoder.push(chunk)
        if (Result.isFailure(decoded)) return yield* new Hangup({ why: decoded.failure.message })
        for (const frame of decoded.success) frames.push(frame)
      }
      if (!wasPartial || frames.length > 0) begunAt = yield* Clock.monotonicTimeNanos
    }
    return frames
  })
}

interface Conversation {
  readonly version: 1 | 2
  readonly peer: Peer
  readonly handle: Handle
  readonly rateLimit: number
  readonly requests: FiberSet.FiberSet<void, never>
  readonly send: (reply: Frame.JsonObject) => Effect.Effect<unknown, Frame.FrameInvalid | Socket.SocketError>
}

/** Takes requests: starts them, answers them when they end, in whatever order that is, and cancels them. */
const makeRequests = ({ handle, peer, rateLimit, requests, send, version }: Conversation) => {
  // Whoever deletes a request's id answers it: its own end, or a `cancel`, never both.
  const inFlight = new Map<string, Option.Option<Fiber.Fiber<void>>>()
  let bucket: RateLimit.Bucket | undefined
  // Counted until the reply is written: one that waits for a peer to read takes as much memory as one being made.
  let busy = 0

  const succeed = (id: string, data: Frame.JsonObject) => send({ v: version, id, ok: true, data })

  const fail = (id: string, error: Protocol.WireError) =>
    send({
      v: version,
      id,
      ok: false,
      code: Protocol.codes[error._tag],
      error: Protocol.wordsFor(error),
      ...("retryAfter" in error && { retryAfter: Math.max(1, Math.ceil(Duration.toSeconds(error.retryAfter))) }),
    })

  const work = (op: string, payload: unknown) =>
    handle(op, payload).pipe(
      Effect.provideService(CurrentPeer, peer),
      Effect.timeoutOrElse({
        duration: Protocol.requestTimeLimit,
        orElse: () => Effect.fail(HostFailure.make({})),
      }),
      Effect.tapError((error) =>
        Protocol.codes[error._tag] === "INTERNAL_ERROR" ? Effect.logError(error.message) : Effect.void,
      ),
      Effect.catchDefect((defect) =>
        Effect.andThen(Effect.logError(`Defect in ${printable(op)}`, defect), Effect.fail(HostFailure.make({}))),
      ),
      Effect.result,
    )

  const start = Effect.fnUntraced(function* (id: string, op: string, payload: unknown) {
    const answer = Effect.uninterruptibleMask(
      (restore) =>
        Effect.flatMap(restore(work(op, payload)), (result) => {
          if (!inFlight.delete(id)) return Effect.void
          return Result.match(result, {
            onFailure: (error) => fail(id, error),
            onSuccess: (data) =>
              Effect.catchTag(succeed(id, data), "FrameInvalid", () => fail(id, HostFailure.make({}))),
          })
        }),
      // A peer that has left needs no answer; the reader notices that it has.
    ).pipe(Effect.catchTag(["FrameInvalid", "SocketError"], () => Effect.void))
    busy++
    inFlight.set(id, Option.none())
    const fiber = yield* FiberSet.run(requests, answer)
    fiber.addObserver(() => busy--)
    if (inFlight.has(id)) inFlight.set(id, Option.some(fiber))
  })

  const cancel = Effect.fnUntraced(function* (targetId: string) {
    const fiber = Option.flatten(Option.fromUndefinedOr(inFlight.get(targetId)))
    if (Option.isNone(fiber) || !inFlight.delete(targetId)) return
    yield* Fiber.interrupt(fiber.value)
    yield* fail(targetId, Cancelled.make({}))
  })

  const wait =
    rateLimit === 0
      ? Effect.succeed(0)
      : Effect.map(Clock.monotonicTimeNanos, (nanos) => {
          const now = Number(nanos / 1_000_000n)
          const taken = RateLimit.take(bucket ?? RateLimit.full(rateLimit, now), rateLimit, now)
          bucket = taken.bucket
          return taken.wait
        })

  /** Refuses, and takes no more from this peer until it may ask again: a flood slows down nobody but itself. */
  const holdBack = Effect.fnUntraced(function* (id: string, milliseconds: number) {
    const retryAfter = Duration.millis(milliseconds)
    yield* fail(id, RateLimited.make({ retryAfter }))
    yield* Effect.sleep(retryAfter)
  })

  return Effect.fnUntraced(function* (frame: Frame.JsonObject) {
    const named = decodeId(frame)
    if (Option.isNone(named)) return yield* new Hangup({ why: "a request without id" })
    const { id } = named.value
    const request = decodeRequest(frame)
    const cancelled = version === 2 && frame["op"] === "cancel" ? decodeCancel(frame["payload"]) : Option.none()
    if (Option.isSome(cancelled) && inFlight.has(cancelled.value.targetId)) {
      // Not counted: what makes less work must not be held back by how much there is.
      yield* cancel(cancelled.value.targetId)
      return yield* succeed(id, {})
    }
    const milliseconds = yield* wait
    if (milliseconds > 0) return yield* holdBack(id, milliseconds)
    if (Option.isSome(cancelled)) return yield* succeed(id, {})
    if (Option.isNone(request)) {
      return yield* fail(id, InvalidRequest.make({ detail: "A request has v (1 or 2), id, op and payload." }))
    }
    if (inFlight.has(id)) {
      return yield* fail(id, InvalidRequest.make({ detail: "A request with this id is still under way." }))
    }
    if (busy >= maximumInFlight) return yield* fail(id, RateLimited.make({ retryAfter: Duration.seconds(1) }))
    return yield* start(id, request.value.op, request.value.payload)
  })
}
