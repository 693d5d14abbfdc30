/**
 * The client's end of the wire: one connection, made when it is first needed, given up when it has been idle.
 *
 * A connection that is lost fails what was under way, because nobody knows how far that came; the next call makes a new
 * one. A login goes on over it: it belongs to the user and the grant, and is gone only if the host itself is another one.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import {
  Data,
  Deferred,
  Duration,
  Effect,
  Exit,
  FiberHandle,
  Option,
  Redacted,
  Result,
  Schema,
  Scope,
  Semaphore,
} from "effect"
import { Socket } from "effect/socket"
import { HostUnreachable, Unauthorized } from "../domain/Errors.ts"
import { oneLine } from "../domain/RemoteText.ts"
import * as Frame from "../server/Frame.ts"
import * as Protocol from "../server/Protocol.ts"
import * as WireLimits from "../server/WireLimits.ts"
import { endpointOf, isOfTrusted } from "./Endpoint.ts"
import * as Handover from "./Handover.ts"

export interface Options {
  /** Where the host listens: the path of its socket, or `tcp://host:port`. */
  readonly path: string
  /** What is shown at the handshake, where the host wants to see something. */
  readonly capability?: Redacted.Redacted
  /** Whether it stays open until the scope closes, however long nothing is asked. */
  readonly isKeptOpen?: boolean
}

/** A reply that says no. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly code: string
  /** The host's sentence; remote text. */
  readonly error: string
  readonly retryAfter: Duration.Duration
}> {}

/** Sends a request and waits for the reply's data. */
export type Call = (
  op: string,
  payload: Frame.JsonObject,
) => Effect.Effect<Frame.JsonObject, Refused | Unauthorized | HostUnreachable>

/** The connection is closed by the client after this time without a request. */
const idleTime = Duration.minutes(5)

/** What a host may ask to wait is believed up to an hour, in seconds. */
const longestWait = 3600

type Pending = Map<string, Deferred.Deferred<Frame.JsonObject, Refused | HostUnreachable>>

interface Open {
  readonly version: 1 | 2
  readonly scope: Scope.Closeable
  readonly send: (frame: Frame.JsonObject) => Effect.Effect<void, HostUnreachable>
}

const decodeReply = Schema.decodeUnknownOption(Protocol.Reply)
const decodeGreeting = Schema.decodeUnknownOption(Protocol.HandshakeReply)

const lost = HostUnreachable.make({
  detail:
    "The connection to the host was lost before it answered. Tokens are safe on the host; try again, once tokenkeep serve runs there.",
})

const late = HostUnreachable.make({
  detail: "The host did not answer within 30 s. Try again; nothing was lost.",
})

const unreachable = (path: string) =>
  HostUnreachable.make({ detail: `Nobody answers at ${oneLine(path)}. Start the host with: tokenkeep serve` })

const forbidden = (path: string) =>
  HostUnreachable.make({
    detail: `The socket ${oneLine(path)} belongs to another user. Run this as the user that runs tokenkeep serve.`,
  })

/** A capability is shown to nobody who could have put a socket of theirs in the host's place. */
const checkOwner = (path: string) =>
  Effect.suspend(() =>
    Result.getOrElse(
      Result.try(() => isOfTrusted(path)),
      () => true,
    )
      ? Effect.void
      : Effect.fail(
          HostUnreachable.make({
            detail: `The socket ${oneLine(path)} belongs to another user, so nothing was shown to it. Ask whoever runs the host.`,
          }),
        ),
  )

/** What the host's first word means. */
const admitted = (path: string, greeting: unknown) => {
  const answer = decodeGreeting(greeting)
  if (Option.isNone(answer)) return Effect.fail(unreachable(path))
  if (answer.value.ok) return Effect.succeed(answer.value)
  return Effect.fail(
    answer.value.code === "UNAUTHORIZED"
      ? Unauthorized.make({})
      : HostUnreachable.make({ detail: `The host at ${oneLine(path)} speaks another version of the protocol.` }),
  )
}

/** What a reply means. */
const meaningOf = (reply: typeof Protocol.Reply.Type) =>
  reply.ok
    ? Exit.succeed(reply.data)
    : Exit.fail(
        new Refused({
          code: reply.code,
          error: reply.error,
          retryAfter: Duration.seconds(Math.min(Math.max(0, reply.retryAfter ?? 0), longestWait)),
        }),
      )

/** What came of a request that was made before. */
const heard = (
  path: string,
  outcome: Handover.Outcome,
): Effect.Effect<Frame.JsonObject, Refused | Unauthorized | HostUnreachable> => {
  switch (outcome._tag) {
    case "Greeted":
      return Effect.andThen(admitted(path, outcome.greeting), Effect.fail(lost))
    case "Replied":
      return Option.match(decodeReply(outcome.reply), { onNone: () => Effect.fail(late), onSome: meaningOf })
    case "Lost":
      return Effect.fail(lost)
    case "Late":
      return Effect.fail(late)
  }
}

const isForbidden = Schema.is(Schema.Struct({ code: Schema.Literals(["EACCES", "EPERM"]) }))

/** Why nobody was reached, as far as the kernel says. */
const unopened = (path: string, { reason }: Socket.SocketError) =>
  "cause" in reason && isForbidden(reason.cause) ? forbidden(path) : unreachable(path)

/** A way to call the host, for as long as the scope is open. */
export const make = Effect.fnUntraced(function* ({
  capability,
  isKeptOpen = false,
  path,
}: Options): Effect.fn.Return<Call, never, Scope.Scope> {
  const pending: Pending = new Map()
  const connecting = Semaphore.makeUnsafe(1)
  const idle = yield* FiberHandle.make<void>()
  let state: "idle" | Open = "idle"
  let lastId = 0

  const outer = yield* Effect.scope

  /** Changes the state at once; what it returns closes the connection, if there was one. */
  const leave = () => {
    if (state === "idle") return Effect.void
    const { scope } = state
    state = "idle"
    return Scope.close(scope, Exit.void)
  }

  const loseConnection = Effect.suspend(() => {
    const close = leave()
    const waiting = [...pending.values()]
    pending.clear()
    return Effect.forEach(waiting, (reply) => Deferred.fail(reply, lost), { discard: true }).pipe(
      // The reader that calls this lives in the scope that is to be closed.
      Effect.andThen(Effect.forkIn(close, outer)),
    )
  })

  const receive = (frame: Frame.JsonObject) =>
    Option.match(decodeReply(frame), {
      onNone: () => Effect.void,
      onSome: (reply) => {
        const waiting = pending.get(reply.id)
        pending.delete(reply.id)
        if (waiting === undefined) return Effect.void
        return Deferred.done(waiting, meaningOf(reply))
      },
    })

  const open = Effect.gen(function* () {
    const scope = yield* Scope.fork(outer)
    return yield* Effect.gen(function* () {
      if (capability !== undefined) yield* checkOwner(path)
      const socket = yield* NodeSocket.makeNet({ ...endpointOf(path), openTimeout: WireLimits.frameTimeLimit })
      const pull = yield* Socket.readerBytes(socket).pipe(Effect.mapError((error) => unopened(path, error)))
      const writer = yield* socket.writer
      const send = (frame: Frame.JsonObject) =>
        Effect.fromResult(Frame.encode(frame)).pipe(
          Effect.flatMap((bytes) => writer.write(bytes)),
          Effect.mapError((error) =>
            error._tag === "FrameInvalid"
              ? HostUnreachable.make({ detail: `The request was not sent. ${error.message}` })
              : lost,
          ),
        )
      const decoder = new Frame.Decoder()
      const frames = Effect.map(pull, (chunks) => Result.all(chunks.map((chunk) => decoder.push(chunk)))).pipe(
        Effect.flatMap(Effect.fromResult),
        Effect.map((decoded) => decoded.flat()),
      )

      yield* send({
        v: 1,
        op: "handshake",
        payload: {
          minVersion: 1,
          maxVersion: 2,
          ...(capability !== undefined && { capabilityToken: Redacted.value(capability) }),
        },
      })
      const [greeting] = yield* frames.pipe(
        Effect.repeat({ until: (received) => received.length > 0 }),
        Effect.timeoutOrElse({ duration: WireLimits.frameTimeLimit, orElse: () => Effect.succeed([]) }),
        Effect.mapError(() => unreachable(path)),
      )
      const { v } = yield* admitted(path, greeting)
      yield* frames.pipe(
        Effect.flatMap(Effect.forEach(receive, { discard: true })),
        Effect.forever,
        Effect.catch(() => loseConnection),
        Effect.forkScoped,
      )
      return { version: v, scope, send } satisfies Open
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    )
  })

  const connection = Effect.suspend(() => {
    if (state !== "idle") return Effect.succeed(state)
    return Effect.tap(open, (opened) =>
      Effect.sync(() => {
        state = opened
      }),
    )
  }).pipe(connecting.withPermit)

  const closeWhenIdle = Effect.suspend(() =>
    pending.size === 0 && !isKeptOpen
      ? FiberHandle.run(
          idle,
          Effect.delay(
            Effect.suspend(() => leave()),
            idleTime,
          ),
        )
      : Effect.void,
  )

  return Effect.fnUntraced(function* (op, payload) {
    const before = Handover.take(path, op, payload)
    if (before !== undefined) return yield* heard(path, before)
    yield* FiberHandle.clear(idle)
    const { send, version } = yield* connection
    const id = String(++lastId)
    const reply = yield* Deferred.make<Frame.JsonObject, Refused | HostUnreachable>()
    pending.set(id, reply)
    const abandon = Effect.suspend(() => {
      // The host should not go on with what nobody waits for.
      if (!pending.delete(id) || version === 1) return Effect.void
      return Effect.ignore(send({ v: version, id: `${id}-cancel`, op: "cancel", payload: { targetId: id } }))
    })
    return yield* send({ v: version, id, op, payload }).pipe(
      Effect.andThen(Deferred.await(reply)),
      Effect.timeoutOrElse({
        duration: WireLimits.requestTimeLimit,
        orElse: () => Effect.fail(late),
      }),
      Effect.ensuring(abandon),
      Effect.ensuring(closeWhenIdle),
    )
  })
})
