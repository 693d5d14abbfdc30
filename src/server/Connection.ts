/**
 * One connection, from handshake to drain. The peer is the least trusted program on the machine. So whatever it sends is
 * bounded in size, time and number, and what cannot be understood closes the connection and nothing else.
 *
 * Nothing runs for a connection that says nothing: it is called when bytes come, and forks only what has to wait.
 */
import { type Clock, Duration, Effect, Exit, type Fiber, Option, Result, Schema, Scope } from "effect"
import { Unauthorized } from "../domain/Errors.ts"
import type { Admission, Visitor } from "./Admission.ts"
import type { Audit } from "./Audit.ts"
import { Conversation, Hangup } from "./Conversation.ts"
import * as Frame from "./Frame.ts"
import type { Handlers } from "./Handlers.ts"
import type { Credentials } from "./PeerCredentials.ts"
import * as Protocol from "./Protocol.ts"
import * as WireLimits from "./WireLimits.ts"

/** The transport of a connection. */
export interface Line {
  /** Takes bytes, whether the peer reads or not; false if it has fallen behind and should be given no more. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Returns when the peer has caught up, or never can. */
  readonly caughtUp: Effect.Effect<void>
  /** Whether bytes that come are wanted now. */
  readonly listen: (isWanted: boolean) => void
  /** Closes it once what was written has gone out. */
  readonly end: () => void
}

/** What all connections of a server share. */
export interface Server {
  readonly admission: Admission["Service"]
  readonly handlers: Handlers
  readonly audit: Audit["Service"]
  readonly clock: Clock.Clock
  /** Requests per second and connection; 0 for any number. */
  readonly rateLimit: number
  /** Says in the log what is wrong; not again and again, because a peer can make it happen again and again. */
  readonly complain: (message: string, defect?: unknown) => Effect.Effect<void>
  /** Runs at once as far as it can; what is not done when the server ends is interrupted. */
  readonly fork: (work: Effect.Effect<void>) => Fiber.Fiber<void>
}

/** How long a reply may wait for a peer that does not read. */
const writeTimeLimit = Duration.seconds(10)

/** How long requests under way may go on when no more are taken. */
export const drainTime = Duration.seconds(5)

/** How long whoever shows a wrong capability waits to hear so: the next try must wait as long. */
const refusalDelay = Duration.seconds(1)

const frameTimeLimit = Option.getOrThrow(Duration.toNanos(WireLimits.frameTimeLimit))

const decodeHandshake = Schema.decodeUnknownOption(Protocol.Handshake)

export class Connection {
  readonly server: Server
  /** Who the peer is by the kernel's word, for the log. */
  readonly uid: number | undefined
  readonly pid: number | undefined
  readonly #credentials: Option.Option<Credentials>
  readonly #line: Line
  readonly #decoder = new Frame.Decoder()
  #conversation: Conversation | undefined
  #isOver = false
  #isLeaving = false
  /** The peer will say no more; it may still be reading. */
  #isFinished = false
  #frames: ReadonlyArray<Frame.JsonObject> = []
  #taken = 0
  /** What has to end before the next frame is taken. */
  #step: Fiber.Fiber<void> | undefined
  /** Since when a frame, or the handshake, is awaited; and who looks after that. */
  #awaitedSince: bigint
  #watch: Fiber.Fiber<void> | undefined
  #scope: Scope.Closeable | undefined
  #stopBeingDismissed: (() => void) | undefined

  constructor(server: Server, line: Line, credentials: Option.Option<Credentials>) {
    this.server = server
    this.#credentials = credentials
    this.uid = Option.getOrUndefined(credentials)?.uid
    this.pid = Option.getOrUndefined(Option.flatMap(credentials, ({ pid }) => pid))
    this.#line = line
    this.#awaitedSince = server.clock.monotonicTimeNanosUnsafe()
    this.#lookAfterFrames()
  }

  /** What is in it lives as long as the connection. */
  get scope(): Scope.Scope {
    return (this.#scope ??= Scope.makeUnsafe())
  }

  /** Bytes came. */
  receive(chunk: Uint8Array): void {
    if (this.#isOver || this.#isLeaving) return
    if (this.#conversation === undefined && !this.server.admission.hears(this.#credentials)) {
      this.#noteRefusal()
      return this.#turnAway()
    }
    const wasPartial = this.#decoder.isPartial
    const decoded = this.#decoder.push(chunk)
    if (Result.isFailure(decoded)) return this.hangUp(decoded.failure.message)
    const frames = decoded.success
    if (this.#decoder.isPartial && (!wasPartial || frames.length > 0)) {
      this.#awaitedSince = this.server.clock.monotonicTimeNanosUnsafe()
      this.#lookAfterFrames()
    }
    this.#conversation?.weigh(chunk.byteLength)
    if (frames.length === 0) return
    this.#frames = this.#frames.length === 0 ? frames : [...this.#frames.slice(this.#taken), ...frames]
    this.#taken = 0
    this.#goOn()
  }

  /** The peer will say no more. */
  finish(): void {
    this.#isFinished = true
    this.#goOn()
  }

  /** The connection is gone. */
  closed(): void {
    this.#isOver = true
    this.#stopBeingDismissed?.()
    this.#watch?.interruptUnsafe()
    this.#step?.interruptUnsafe()
    this.#conversation?.abandon()
    if (this.#scope !== undefined) this.server.fork(Scope.close(this.#scope, Exit.void))
  }

  /** Takes no more requests, and closes when those under way have been answered, or have had their time. */
  leave(): void {
    if (this.#isLeaving || this.#isOver) return
    this.#closeWhenIdle()
    if (!this.#isOver)
      this.#watch = this.server.fork(
        Effect.delay(
          Effect.sync(() => this.#end()),
          drainTime,
        ),
      )
  }

  #closeWhenIdle(): void {
    this.#isLeaving = true
    this.#watch?.interruptUnsafe()
    this.#step?.interruptUnsafe()
    this.#line.listen(false)
    if (this.#conversation === undefined) this.#end()
    else this.#conversation.whenIdle(() => this.#end())
  }

  /** Closes without a word. */
  hangUp(why: string): void {
    this.server.fork(Effect.logDebug(`Connection closed: ${why}`))
    this.#end()
  }

  /** Says something; false if the peer has fallen behind. */
  write(bytes: Uint8Array): boolean {
    return this.#isOver || this.#line.write(bytes)
  }

  /** Waits for a peer that has fallen behind, but not for ever. */
  get caughtUp(): Effect.Effect<void, Hangup> {
    return Effect.timeoutOrElse(this.#line.caughtUp, {
      duration: writeTimeLimit,
      orElse: () => Effect.fail(new Hangup({ why: "the peer does not read its replies" })),
    })
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#line.end()
  }

  /** Takes what has come, one after the other. */
  #goOn(): void {
    while (this.#step === undefined && this.#taken < this.#frames.length && !this.#isOver && !this.#isLeaving) {
      if (this.#conversation === undefined) {
        this.#before(this.#greet(this.#frames[this.#taken++]))
        continue
      }
      const turn = this.#conversation.takeTurn(this.#frames, this.#taken)
      this.#taken = turn.taken
      if (turn.before !== undefined) this.#before(turn.before)
    }
    if (this.#isOver || this.#isLeaving) return
    this.#line.listen(this.#step === undefined)
    if (this.#step !== undefined) return
    this.#frames = []
    this.#taken = 0
    // Whoever has nothing more to ask may still be reading the answers.
    if (this.#isFinished) this.#closeWhenIdle()
  }

  /** Does something before the next frame is taken. */
  #before(work: Effect.Effect<void, Hangup>): void {
    const step = this.server.fork(Effect.match(work, { onFailure: ({ why }) => this.hangUp(why), onSuccess: () => {} }))
    if (step.pollUnsafe() !== undefined) return
    this.#step = step
    step.addObserver(() => {
      this.#step = undefined
      this.#goOn()
    })
  }

  /** Sees to it that the handshake, and a frame that has begun, are complete in time. */
  #lookAfterFrames(): void {
    if (this.#watch !== undefined) return
    const left = Duration.nanos(this.#awaitedSince + frameTimeLimit - this.server.clock.monotonicTimeNanosUnsafe())
    this.#watch = this.server.fork(Effect.sleep(Duration.max(left, Duration.zero)))
    this.#watch.addObserver((exit) => {
      this.#watch = undefined
      if (this.#isOver || Exit.isFailure(exit)) return
      const isAwaited = this.#conversation === undefined || this.#decoder.isPartial
      if (!isAwaited) return
      if (this.server.clock.monotonicTimeNanosUnsafe() - this.#awaitedSince < frameTimeLimit) this.#lookAfterFrames()
      else this.hangUp("a frame was not completed in time")
    })
  }

  #greet(frame: Frame.JsonObject | undefined): Effect.Effect<void, Hangup> {
    const handshake = decodeHandshake(frame)
    if (Option.isNone(handshake)) return Effect.fail(new Hangup({ why: "no handshake" }))
    const { payload } = handshake.value
    const version = Protocol.negotiate(payload)
    if (Option.isNone(version)) {
      this.#refuse("UNKNOWN_VERSION", "None of the versions offered is spoken here.")
      return Effect.fail(new Hangup({ why: "no common version" }))
    }
    return Effect.matchEffect(
      this.server.admission.admit(this.#credentials, Option.fromUndefinedOr(payload.capabilityToken)),
      {
        onFailure: () => {
          // Before the delay, which the peer may not wait for.
          this.#noteRefusal()
          return Effect.delay(
            Effect.sync(() => this.#turnAway()),
            refusalDelay,
          )
        },
        onSuccess: (visitor) => Effect.sync(() => this.#welcome(visitor, version.value)),
      },
    )
  }

  #welcome(visitor: Visitor, version: 1 | 2): void {
    this.#conversation = new Conversation(this, visitor, version)
    if (!this.#decoder.isPartial) this.#watch?.interruptUnsafe()
    this.#say({ v: version, op: "handshake", ok: true, data: { version } })
    this.#stopBeingDismissed = visitor.whenDismissed(() => {
      this.#conversation?.refuseAll()
      this.leave()
    })
  }

  /** Nothing that such a peer sends is looked at. */
  #turnAway(): void {
    this.#refuse("UNAUTHORIZED", Unauthorized.make({}).message)
    this.hangUp("not admitted")
  }

  #noteRefusal(): void {
    const { clock } = this.server
    this.server.audit.record({
      at: clock.currentTimeMillisUnsafe(),
      uid: this.uid,
      pid: this.pid,
      grant: this.server.admission.label,
      op: "handshake",
      account: undefined,
      outcome: "UNAUTHORIZED",
      micros: 0,
      token: undefined,
    })
  }

  #refuse(code: Protocol.WireCode, error: string): void {
    this.#say({ v: WireLimits.versions[0], op: "handshake", ok: false, code, error })
  }

  #say(frame: Frame.JsonObject): void {
    this.write(Frame.encodeTexts([JSON.stringify(frame)]))
  }
}
