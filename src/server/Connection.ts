/**
 * One connection, from handshake to drain. The peer is the least trusted program on the machine. So whatever it sends is
 * bounded in size, time and number, and what cannot be understood closes the connection and nothing else.
 */
import { Clock, Duration, Effect, FiberSet, Option, Result, Schema } from "effect"
import { Socket } from "effect/socket"
import { Unauthorized } from "../domain/Errors.ts"
import type { Admission } from "./Admission.ts"
import { Audit } from "./Audit.ts"
import * as Conversation from "./Conversation.ts"
import { Hangup } from "./Conversation.ts"
import * as Frame from "./Frame.ts"
import type { Handlers } from "./Handlers.ts"
import type { Credentials } from "./PeerCredentials.ts"
import * as Protocol from "./Protocol.ts"

/** How a connection takes what is said to its peer. */
export interface Sink {
  /** As {@link Conversation.Outlet}. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Returns when what was written has gone out, or never can. */
  readonly drained: Effect.Effect<void>
}

export interface Options {
  readonly socket: Socket.Socket
  readonly sink: Sink
  readonly credentials: Option.Option<Credentials>
  readonly admission: Admission["Service"]
  readonly handlers: Handlers
  /** Requests per second; 0 for any number. */
  readonly rateLimit: number
  /** Returns when the server shuts down. */
  readonly draining: Effect.Effect<void>
}

/** How long a reply may wait for a peer that does not read. */
const writeTimeLimit = Duration.seconds(10)

/** How long requests under way may go on when the server shuts down. */
export const drainTime = Duration.seconds(5)

/** How long whoever shows a wrong capability waits to hear so: the next try must wait as long. */
const refusalDelay = Duration.seconds(1)

const decodeHandshake = Schema.decodeUnknownOption(Protocol.Handshake)

/** Serves one connection until the peer leaves, breaks a rule, is dismissed, or the server shuts down. */
export const serve = Effect.fnUntraced(
  function* ({ admission, credentials, draining, handlers, rateLimit, sink, socket }: Options) {
    const pull = yield* Socket.readerBytes(socket)
    const audit = yield* Audit
    const requests = yield* FiberSet.make<void, never>()
    const incoming = makeReader(pull)

    const outlet: Conversation.Outlet = {
      write: sink.write,
      caughtUp: Effect.timeoutOrElse(sink.drained, {
        duration: writeTimeLimit,
        orElse: () => Effect.fail(new Hangup({ why: "the peer does not read its replies" })),
      }),
    }
    const say = (frame: Frame.JsonObject) =>
      Effect.suspend(() => (outlet.write(Frame.encodeTexts([JSON.stringify(frame)])) ? Effect.void : outlet.caughtUp))

    const turnAway = Effect.gen(function* () {
      audit.record({
        at: yield* Clock.currentTimeMillis,
        uid: Option.getOrUndefined(Option.map(credentials, (peer) => peer.uid)),
        pid: Option.getOrUndefined(Option.flatMap(credentials, (peer) => peer.pid)),
        grant: admission.label,
        op: "handshake",
        account: undefined,
        outcome: "UNAUTHORIZED",
        micros: 0,
        token: undefined,
      })
      yield* say(refused("UNAUTHORIZED", Unauthorized.make({}).message))
    })

    const greet = Effect.gen(function* () {
      const [first, ...rest] = yield* incoming.frames
      const handshake = decodeHandshake(first)
      if (Option.isNone(handshake)) return yield* new Hangup({ why: "no handshake" })
      const { payload } = handshake.value
      const version = Protocol.negotiate(payload)
      if (Option.isNone(version)) {
        yield* say(refused("UNKNOWN_VERSION", "None of the versions offered is spoken here."))
        return yield* new Hangup({ why: "no common version" })
      }
      const visitor = yield* admission.admit(credentials, Option.fromUndefinedOr(payload.capabilityToken)).pipe(
        Effect.tapError(() => Effect.andThen(Effect.sleep(refusalDelay), turnAway)),
        Effect.mapError(() => new Hangup({ why: "not admitted" })),
      )
      yield* say({ v: version.value, op: "handshake", ok: true, data: { version: version.value } })
      return { version: version.value, visitor, rest }
    }).pipe(
      Effect.timeoutOrElse({
        duration: Protocol.frameTimeLimit,
        orElse: () => Effect.fail(new Hangup({ why: "no handshake in time" })),
      }),
    )

    if (!admission.hears(credentials)) {
      // Nothing that it sends is looked at; that it sends something says that it listens.
      yield* pull.pipe(Effect.timeoutOption(Protocol.frameTimeLimit))
      yield* turnAway
      return yield* new Hangup({ why: "the user may not connect" })
    }
    const converse = Effect.gen(function* () {
      const { rest, version, visitor } = yield* greet
      const conversation = yield* Conversation.make({
        version,
        visitor,
        credentials,
        handlers,
        outlet,
        rateLimit,
        requests,
      })
      const goOn = Effect.gen(function* () {
        let frames: ReadonlyArray<Frame.JsonObject> = rest
        while (true) {
          for (let taken = 0; taken < frames.length;) {
            const turn = conversation.takeTurn(frames, taken)
            taken = turn.taken
            yield* turn.before
          }
          frames = yield* incoming.frames
          conversation.weigh(incoming.bytesOfLastFrames())
        }
      })
      const dismissed = Effect.andThen(visitor.dismissed, conversation.refuseAll)
      yield* Effect.raceAllFirst([goOn, dismissed, conversation.stuck])
    })

    // Whoever has nothing more to ask may still be reading the answers.
    const leave = Effect.catchTag(converse, "SocketError", () => FiberSet.awaitEmpty(requests))
    yield* Effect.raceFirst(leave, draining)
    yield* FiberSet.awaitEmpty(requests).pipe(Effect.timeoutOption(drainTime))
  },
  Effect.scoped,
  Effect.catchTags({
    Hangup: ({ why }) => Effect.logDebug(`Connection closed: ${why}`),
    // The peer left, or is no longer there to be told anything.
    SocketError: () => Effect.void,
  }),
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
  let bytes = 0

  const chunks = Effect.suspend(() => {
    if (!decoder.isPartial()) return pull
    return Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
      Effect.timeoutOrElse(pull, {
        duration: Duration.max(
          Duration.zero,
          Duration.subtract(Protocol.frameTimeLimit, Duration.nanos(now - begunAt)),
        ),
        orElse: () => Effect.fail(new Hangup({ why: "a frame was not completed in time" })),
      }),
    )
  })

  return {
    frames: Effect.gen(function* () {
      const frames: Array<Frame.JsonObject> = []
      bytes = 0
      while (frames.length === 0) {
        const wasPartial = decoder.isPartial()
        for (const chunk of yield* chunks) {
          bytes += chunk.byteLength
          const decoded = decoder.push(chunk)
          if (Result.isFailure(decoded)) return yield* new Hangup({ why: decoded.failure.message })
          for (const frame of decoded.success) frames.push(frame)
        }
        if (decoder.isPartial() && (!wasPartial || frames.length > 0)) begunAt = yield* Clock.monotonicTimeNanos
      }
      return frames
    }),
    /** How many bytes have come with the frames that came last. */
    bytesOfLastFrames: () => bytes,
  }
}
