/**
 * What is said on a connection after the handshake: takes requests, answers them at once or when they end, in whatever
 * order that is, and cancels them. What is known without waiting costs no fiber, and what is answered in one turn goes
 * out with one write.
 */
import { Data, Duration, Effect, type Fiber, Option, Redacted, Result, Schema, Scope } from "effect"
import { CurrentPeer } from "../broker/CurrentPeer.ts"
import * as Account from "../domain/AccountKey.ts"
import { Cancelled, HostFailure, InvalidRequest, RateLimited, Unauthorized } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import type { Visitor } from "./Admission.ts"
import type { Connection } from "./Connection.ts"
import * as Frame from "./Frame.ts"
import * as Protocol from "./Protocol.ts"
import * as WireLimits from "./WireLimits.ts"
import { Allowance } from "./RateLimit.ts"

/** The peer broke the rules of the wire, or left. */
export class Hangup extends Data.TaggedError("Hangup")<{ readonly why: string }> {}

/** A request that is being answered. */
interface UnderWay {
  readonly request: Protocol.Request
  /** An instant of the monotonic clock. */
  readonly begun: bigint
  fiber: Fiber.Fiber<void> | undefined
}

/** What came of some frames. */
interface Turn {
  /** How many of them have been taken so far. */
  readonly taken: number
  /** What comes before the next one. */
  readonly before: Effect.Effect<void, Hangup> | undefined
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

/** Operations that are about no account, or an API key: what else is in their payload is the peer's fancy. */
const ofKeys: ReadonlySet<unknown> = new Set(["get_api_key", "has_api_key"])
const ofSessions: ReadonlySet<unknown> = new Set(["oauth_exchange", "oauth_poll", "oauth_cancel"])

/** What a request is about, for the log: an account, or the name of an API key. */
const subjectOf = (op: unknown, { bucket, name, provider }: Frame.JsonObject): string | undefined => {
  if (ofSessions.has(op)) return undefined
  if (typeof provider === "string" && !ofKeys.has(op)) {
    return Account.textOf(provider, typeof bucket === "string" ? bucket : Account.defaultBucket)
  }
  return typeof name === "string" ? name : undefined
}

/** The access token in a reply, for its fingerprint in the log. */
const tokenIn = ({ access_token, token }: Frame.JsonObject): string | undefined => {
  if (typeof access_token === "string") return access_token
  return Frame.isObject(token) && typeof token["access_token"] === "string" ? token["access_token"] : undefined
}

export class Conversation {
  readonly #connection: Connection
  readonly #visitor: Visitor
  readonly #version: 1 | 2
  // Whoever deletes a request's id answers it: its own end, a `cancel`, or a dismissal, and only one of them.
  readonly #inFlight = new Map<string, UnderWay>()
  /** Counted until the reply is taken: one that waits for a peer to read takes as much memory as one being made. */
  #busy = 0
  #whenIdle: (() => void) | undefined
  readonly #allowance: Allowance
  #weight = 0
  #isTurn = false
  /** In milliseconds since 1970, once it was asked for in this turn. */
  #turnBegan: number | undefined
  #replies: Array<string> = []
  #repliesLength = 0

  constructor(connection: Connection, visitor: Visitor, version: 1 | 2) {
    this.#connection = connection
    this.#visitor = visitor
    this.#version = version
    this.#allowance = new Allowance(connection.server.rateLimit)
  }

  /** Takes frames from the `taken`th on, as many as there is a turn for. */
  takeTurn(frames: ReadonlyArray<Frame.JsonObject>, taken: number): Turn {
    this.#isTurn = true
    this.#turnBegan = undefined
    let before: Effect.Effect<void, Hangup> | undefined
    let at = taken
    while (at < frames.length && before === undefined) {
      if (at - taken >= framesPerTurn || this.#repliesLength >= repliesPerTurn) before = Effect.yieldNow
      else before = this.#take(frames[at++] ?? {})
    }
    this.#isTurn = false
    if (this.#flush()) return { taken: at, before }
    const { caughtUp } = this.#connection
    return { taken: at, before: before === undefined ? caughtUp : Effect.andThen(caughtUp, before) }
  }

  /** Counts bytes that came: much of it counts as more than the requests in it. */
  weigh(bytes: number): void {
    this.#weight += Math.floor(bytes / bytesPerRequest)
  }

  /** Answers what is under way with a refusal. */
  refuseAll(): void {
    for (const id of this.#inFlight.keys()) this.#end(id, Unauthorized.make({}))
  }

  /** Ends what is under way without an answer. */
  abandon(): void {
    const left = [...this.#inFlight.values()]
    this.#inFlight.clear()
    for (const underWay of left) {
      // What it has done by now may not be undone by that.
      this.#noteEnd(underWay, Cancelled.make({}))
      underWay.fiber?.interruptUnsafe()
    }
  }

  /** Calls back when nothing is under way. */
  whenIdle(callback: () => void): void {
    this.#whenIdle = callback
    if (this.#busy === 0) callback()
  }

  /** Takes one frame. What it returns comes before the next one. */
  #take(frame: Frame.JsonObject): Effect.Effect<void, Hangup> | undefined {
    const { id, op, payload } = frame
    if (!Protocol.isId(id)) return Effect.fail(new Hangup({ why: "a request without id" }))
    const cancelled = this.#version === 2 && op === "cancel" ? decodeCancel(payload) : Option.none()
    if (Option.isSome(cancelled) && this.#inFlight.has(cancelled.value.targetId)) {
      // Not counted: what makes less work must not be held back by how much there is.
      this.#end(cancelled.value.targetId, Cancelled.make({}))
      this.#say(this.#success(id, "{}"))
      return undefined
    }
    const milliseconds = this.#tooEarly()
    if (milliseconds > 0) {
      const retryAfter = Duration.millis(milliseconds)
      this.#refuse(frame, id, RateLimited.make({ retryAfter }))
      // Nothing more is taken from this peer until it may ask again: a flood slows down nobody but itself.
      return Effect.sleep(retryAfter)
    }
    if (Option.isSome(cancelled)) this.#say(this.#success(id, "{}"))
    else if (Protocol.isRequest(frame)) this.#answer(frame)
    else this.#refuse(frame, id, InvalidRequest.make({ detail: "A request has v (1 or 2), id, op and payload." }))
    return undefined
  }

  #answer(request: Protocol.Request): void {
    const { audit, handlers } = this.#connection.server
    if (this.#inFlight.has(request.id)) {
      return this.#refuse(
        request,
        request.id,
        InvalidRequest.make({ detail: "A request with this id is still under way." }),
      )
    }
    if (!audit.mayServe()) return this.#refuse(request, request.id, HostFailure.make({}))
    const known = handlers.atHand(request.op, request.payload, this.#visitor.rights)
    if (known !== undefined) {
      this.#say(this.#success(request.id, Redacted.value(known.data)))
      this.#note(request.op, known.account, 0, "ok", Redacted.value(known.token.accessToken))
    } else if (this.#busy >= maximumInFlight) {
      this.#refuse(request, request.id, RateLimited.make({ retryAfter: Duration.seconds(1) }))
    } else this.#start(request)
  }

  #start(request: Protocol.Request): void {
    const { id, payload } = request
    const begun = this.#now()
    const underWay: UnderWay = { request, begun, fiber: undefined }
    this.#busy++
    this.#inFlight.set(id, underWay)
    const fiber = this.#connection.server.fork(
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.#work(request)), (result) => {
          if (!this.#inFlight.delete(id)) return Effect.void
          const account = subjectOf(request.op, payload)
          if (Result.isFailure(result)) {
            this.#note(request.op, account, this.#since(begun), Protocol.codes[result.failure._tag])
          } else this.#note(request.op, account, this.#since(begun), "ok", tokenIn(result.success))
          const hasCaughtUp = this.#say(
            Result.match(result, {
              onFailure: (error) => this.#failure(id, error),
              onSuccess: (data) => this.#success(id, JSON.stringify(data)),
            }),
          )
          return hasCaughtUp
            ? Effect.void
            : Effect.catch(restore(this.#connection.caughtUp), ({ why }) =>
                Effect.sync(() => this.#connection.hangUp(why)),
              )
        }),
      ),
    )
    underWay.fiber = fiber
    fiber.addObserver(() => {
      this.#busy--
      if (this.#busy === 0) this.#whenIdle?.()
    })
  }

  #work({ op, payload }: Protocol.Request) {
    const { server } = this.#connection
    const { peer, rights } = this.#visitor
    return server.handlers.answer(op, payload, rights).pipe(
      Effect.provideService(CurrentPeer, peer),
      Effect.provideService(Scope.Scope, this.#connection.scope),
      Effect.timeoutOrElse({
        duration: WireLimits.requestTimeLimit,
        orElse: () => Effect.fail(HostFailure.make({})),
      }),
      Effect.tapError((error) =>
        Protocol.codes[error._tag] === "INTERNAL_ERROR" ? server.complain(error.message) : Effect.void,
      ),
      Effect.catchDefect((defect) =>
        Effect.andThen(server.complain(`Defect in ${printable(op)}`, defect), Effect.fail(HostFailure.make({}))),
      ),
      Effect.result,
    )
  }

  /** Answers a request under way in its place, and ends it. */
  #end(id: string, error: Protocol.WireError): void {
    const underWay = this.#inFlight.get(id)
    if (underWay === undefined || !this.#inFlight.delete(id)) return
    const { fiber } = underWay
    this.#noteEnd(underWay, error)
    // First, because a connection that is to close does so when nothing is under way.
    this.#say(this.#failure(id, error))
    fiber?.interruptUnsafe()
  }

  /** Answers a frame that has an id, and may be no request at all. */
  #refuse({ op, payload }: Frame.JsonObject, id: string, error: Protocol.WireError): void {
    const subject = Frame.isObject(payload) ? subjectOf(op, payload) : undefined
    this.#note(typeof op === "string" ? op : "", subject, 0, Protocol.codes[error._tag])
    this.#say(this.#failure(id, error))
  }

  #noteEnd({ begun, request: { op, payload } }: UnderWay, error: Protocol.WireError): void {
    this.#note(op, subjectOf(op, payload), this.#since(begun), Protocol.codes[error._tag])
  }

  #now(): bigint {
    return this.#connection.server.clock.monotonicTimeNanosUnsafe()
  }

  /** For how many milliseconds the next request comes too early. */
  #tooEarly(): number {
    const now = Number(this.#now() / 1_000_000n)
    const cost = 1 + this.#weight
    this.#weight = 0
    return this.#allowance.take(now, cost) || (this.#visitor.allowance?.take(now, cost) ?? 0)
  }

  /** Says something, with all that is said in this turn; false if the peer has fallen behind. */
  #say(reply: string): boolean {
    this.#replies.push(reply)
    this.#repliesLength += reply.length
    return this.#isTurn || this.#flush()
  }

  #flush(): boolean {
    if (this.#replies.length === 0) return true
    const bytes = Frame.encodeTexts(this.#replies)
    this.#replies = []
    this.#repliesLength = 0
    return this.#connection.write(bytes)
  }

  #failure(id: string, error: Protocol.WireError): string {
    return JSON.stringify({
      v: this.#version,
      id,
      ok: false,
      code: Protocol.codes[error._tag],
      error: Protocol.wordsFor(error),
      ...("retryAfter" in error && { retryAfter: Math.max(1, Math.ceil(Duration.toSeconds(error.retryAfter))) }),
    })
  }

  /** `data` is JSON. */
  #success(id: string, data: string): string {
    const reply = `{"v":${this.#version},"id":${JSON.stringify(id)},"ok":true,"data":${data}}`
    return Frame.fits(reply) ? reply : this.#failure(id, HostFailure.make({}))
  }

  /** How many microseconds have passed since this instant. */
  #since(begun: bigint): number {
    return Number((this.#now() - begun) / 1000n)
  }

  /** Notes a request that has been answered; `micros` is 0 if nothing had to be waited for. */
  #note(op: string, account: string | undefined, micros: number, outcome: string, token?: string): void {
    const { pid, server, uid } = this.#connection
    server.audit.record({
      at: micros === 0 ? this.#turnTime() : server.clock.currentTimeMillisUnsafe() - Math.round(micros / 1000),
      uid,
      pid,
      grant: this.#visitor.label,
      op,
      account,
      outcome,
      micros,
      token,
    })
  }

  /** The time, read once in a turn: to read it takes as long as all the rest of a note. */
  #turnTime(): number {
    if (this.#isTurn && this.#turnBegan !== undefined) return this.#turnBegan
    return (this.#turnBegan = this.#connection.server.clock.currentTimeMillisUnsafe())
  }
}
