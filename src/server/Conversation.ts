/**
 * What is said on a connection after the handshake: takes requests, answers them at once or when they end, in whatever
 * order that is, and cancels them. What is known without waiting costs no fiber, and what is answered in one turn goes
 * out with one write.
 */
import {
  Clock,
  Data,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FiberSet,
  Option,
  Redacted,
  Result,
  Schema,
  Scope,
} from "effect"
import { CurrentPeer } from "../broker/CurrentPeer.ts"
import * as Account from "../domain/AccountKey.ts"
import { Cancelled, HostFailure, InvalidRequest, RateLimited, Unauthorized } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import type { Visitor } from "./Admission.ts"
import * as Frame from "./Frame.ts"
import { Audit } from "./Audit.ts"
import type { Handlers } from "./Handlers.ts"
import type { Credentials } from "./PeerCredentials.ts"
import * as Protocol from "./Protocol.ts"
import * as RateLimit from "./RateLimit.ts"

/** The peer broke the rules of the wire, or left. */
export class Hangup extends Data.TaggedError("Hangup")<{ readonly why: string }> {}

/** Where replies go. */
export interface Outlet {
  /** Takes the bytes, whether the peer reads or not; false if it has fallen behind and should be given no more. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Returns when the peer has caught up. */
  readonly caughtUp: Effect.Effect<void, Hangup>
}

export interface Options {
  readonly version: 1 | 2
  readonly visitor: Visitor
  readonly credentials: Option.Option<Credentials>
  readonly handlers: Handlers
  readonly outlet: Outlet
  /** Requests per second; 0 for any number. */
  readonly rateLimit: number
  readonly requests: FiberSet.FiberSet<void, never>
}

/** A request that is being answered. */
interface UnderWay {
  readonly fiber: Fiber.Fiber<void>
  readonly op: string
  readonly payload: Frame.JsonObject
  readonly begun: bigint
}

/** What came of some frames. */
interface Turn {
  /** How many of them have been taken so far. */
  readonly taken: number
  /** What comes before the next one. */
  readonly before: Effect.Effect<void, Hangup>
}

/** Requests that one connection may have under way; each holds a fiber, and later a reply. */
const maximumInFlight = 64

/** Frames taken before other connections get a turn. */
const framesPerTurn = 100

/** What the replies of a turn may come to, in characters, before it is seen whether the peer reads them. */
const repliesPerTurn = 65_536

/** Bytes that come with a request for nothing; every further so many count as one more request. */
const bytesPerRequest = 4096

const decodeCancel = Schema.decodeUnknownOption(Schema.Struct({ targetId: Schema.String }))

/** What a request is about, for the log: an account, or the name of an API key. */
const subjectOf = ({ bucket, name, provider }: Frame.JsonObject): string | undefined => {
  if (typeof provider === "string") {
    return Account.textOf(provider, typeof bucket === "string" ? bucket : Account.defaultBucket)
  }
  return typeof name === "string" ? name : undefined
}

/** The access token in a reply, for its fingerprint in the log. */
const tokenIn = ({ access_token, token }: Frame.JsonObject): string | undefined => {
  if (typeof access_token === "string") return access_token
  return Frame.isObject(token) && typeof token["access_token"] === "string" ? token["access_token"] : undefined
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const { credentials, handlers, outlet, rateLimit, requests, version, visitor } = options
  const { label, peer, rights } = visitor
  const audit = yield* Audit
  const clock = yield* Clock.Clock
  const connection = yield* Effect.scope
  const fork = yield* FiberSet.runtime(requests)<never>()
  const stuck = yield* Deferred.make<never, Hangup>()

  // Whoever deletes a request's id answers it: its own end, a `cancel`, or a dismissal, and only one of them.
  const inFlight = new Map<string, Option.Option<UnderWay>>()
  // Counted until the reply is taken: one that waits for a peer to read takes as much memory as one being made.
  let busy = 0
  let bucket: RateLimit.Bucket | undefined
  let weight = 0
  let isTurn = false
  let replies: Array<string> = []
  let repliesLength = 0

  /** Sends what there is to say; false if the peer has fallen behind. */
  const flush = (): boolean => {
    if (replies.length === 0) return true
    const bytes = Frame.encodeTexts(replies)
    replies = []
    repliesLength = 0
    return outlet.write(bytes)
  }

  const say = (reply: string): boolean => {
    replies.push(reply)
    repliesLength += reply.length
    return isTurn || flush()
  }

  const failure = (id: string, error: Protocol.WireError): string =>
    JSON.stringify({
      v: version,
      id,
      ok: false,
      code: Protocol.codes[error._tag],
      error: Protocol.wordsFor(error),
      ...("retryAfter" in error && { retryAfter: Math.max(1, Math.ceil(Duration.toSeconds(error.retryAfter))) }),
    })

  /** `data` is JSON. */
  const success = (id: string, data: string): string => {
    const reply = `{"v":${version},"id":${JSON.stringify(id)},"ok":true,"data":${data}}`
    return Frame.fits(reply) ? reply : failure(id, HostFailure.make({}))
  }

  const uid = Option.getOrUndefined(Option.map(credentials, (peer) => peer.uid))
  const pid = Option.getOrUndefined(Option.flatMap(credentials, (peer) => peer.pid))

  /** Notes a request that has been answered. `begun` is an instant of the monotonic clock. */
  const note = (op: string, account: string | undefined, begun: bigint, outcome: string, token?: string) => {
    const micros = Number((clock.monotonicTimeNanosUnsafe() - begun) / 1000n)
    const at = clock.currentTimeMillisUnsafe() - Math.round(micros / 1000)
    audit.record({ at, uid, pid, grant: label, op, account, outcome, micros, token })
  }

  const refuse = (request: Protocol.Request, error: Protocol.WireError): boolean => {
    note(request.op, subjectOf(request.payload), clock.monotonicTimeNanosUnsafe(), Protocol.codes[error._tag])
    return say(failure(request.id, error))
  }

  const work = (op: string, payload: Frame.JsonObject) =>
    handlers.answer(op, payload, rights).pipe(
      Effect.provideService(CurrentPeer, peer),
      Effect.provideService(Scope.Scope, connection),
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

  const start = ({ id, op, payload }: Protocol.Request): void => {
    const begun = clock.monotonicTimeNanosUnsafe()
    const answer = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(work(op, payload)), (result) => {
        if (!inFlight.delete(id)) return Effect.void
        const account = subjectOf(payload)
        if (Result.isFailure(result)) note(op, account, begun, Protocol.codes[result.failure._tag])
        else note(op, account, begun, "ok", tokenIn(result.success))
        const hasCaughtUp = say(
          Result.match(result, {
            onFailure: (error) => failure(id, error),
            onSuccess: (data) => success(id, JSON.stringify(data)),
          }),
        )
        return hasCaughtUp
          ? Effect.void
          : Effect.catch(restore(outlet.caughtUp), (hangup) => Deferred.fail(stuck, hangup))
      }),
    )
    busy++
    inFlight.set(id, Option.none())
    const fiber = fork(Effect.asVoid(answer))
    fiber.addObserver(() => busy--)
    if (inFlight.has(id)) inFlight.set(id, Option.some({ fiber, op, payload, begun }))
  }

  /** Answers a request under way in its place, and ends it. */
  const end = Effect.fnUntraced(function* (id: string, error: Protocol.WireError) {
    const request = Option.flatten(Option.fromUndefinedOr(inFlight.get(id)))
    if (Option.isNone(request) || !inFlight.delete(id)) return
    const { begun, fiber, op, payload } = request.value
    yield* Fiber.interrupt(fiber)
    note(op, subjectOf(payload), begun, Protocol.codes[error._tag])
    say(failure(id, error))
  })

  /** For how many milliseconds the next request comes too early. */
  const tooEarly = (): number => {
    if (rateLimit === 0) return 0
    const now = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const taken = RateLimit.take(bucket ?? RateLimit.full(rateLimit, now), rateLimit, now, 1 + weight)
    bucket = taken.bucket
    weight = 0
    return taken.wait
  }

  /** Takes one frame. What it returns comes before the next one. */
  const take = (frame: Frame.JsonObject): Effect.Effect<void, Hangup> | undefined => {
    const { id, op, payload } = frame
    if (!Protocol.isId(id)) return Effect.fail(new Hangup({ why: "a request without id" }))
    const cancelled = version === 2 && op === "cancel" ? decodeCancel(payload) : Option.none()
    if (Option.isSome(cancelled) && inFlight.has(cancelled.value.targetId)) {
      // Not counted: what makes less work must not be held back by how much there is.
      return Effect.andThen(
        end(cancelled.value.targetId, Cancelled.make({})),
        Effect.sync(() => say(success(id, "{}"))),
      )
    }
    const milliseconds = tooEarly()
    if (milliseconds > 0) {
      const retryAfter = Duration.millis(milliseconds)
      say(failure(id, RateLimited.make({ retryAfter })))
      // Nothing more is taken from this peer until it may ask again: a flood slows down nobody but itself.
      return Effect.sleep(retryAfter)
    }
    if (Option.isSome(cancelled)) {
      say(success(id, "{}"))
      return undefined
    }
    if (!Protocol.isRequest(frame)) {
      say(failure(id, InvalidRequest.make({ detail: "A request has v (1 or 2), id, op and payload." })))
      return undefined
    }
    if (inFlight.has(id)) {
      refuse(frame, InvalidRequest.make({ detail: "A request with this id is still under way." }))
    } else if (!audit.mayServe()) refuse(frame, HostFailure.make({}))
    else {
      const begun = clock.monotonicTimeNanosUnsafe()
      const known = handlers.atHand(frame.op, frame.payload, rights)
      if (known !== undefined) {
        say(success(id, Redacted.value(known.data)))
        note(frame.op, known.account, begun, "ok", Redacted.value(known.token.accessToken))
      } else if (busy >= maximumInFlight) refuse(frame, RateLimited.make({ retryAfter: Duration.seconds(1) }))
      else start(frame)
    }
    return undefined
  }

  return {
    /** Takes frames from the `taken`th on, as many as there is a turn for. */
    takeTurn: (frames: ReadonlyArray<Frame.JsonObject>, taken: number): Turn => {
      isTurn = true
      let before: Effect.Effect<void, Hangup> | undefined
      let at = taken
      const isOver = () => before !== undefined || at - taken >= framesPerTurn || repliesLength >= repliesPerTurn
      for (; at < frames.length && !isOver(); at++) {
        const frame = frames[at]
        if (frame !== undefined) before = take(frame)
      }
      isTurn = false
      const hasCaughtUp = flush()
      const next = before ?? (at < frames.length ? Effect.yieldNow : Effect.void)
      return { taken: at, before: hasCaughtUp ? next : Effect.andThen(outlet.caughtUp, next) }
    },
    /** Counts bytes that came: much of it counts as more than the requests in it. */
    weigh: (bytes: number): void => {
      weight += Math.floor(bytes / bytesPerRequest)
    },
    /** Answers what is under way with a refusal. */
    refuseAll: Effect.suspend(() =>
      Effect.forEach([...inFlight.keys()], (id) => end(id, Unauthorized.make({})), { discard: true }),
    ),
    /** Fails when the peer does not read what it asked for. */
    stuck: Deferred.await(stuck),
  }
})
