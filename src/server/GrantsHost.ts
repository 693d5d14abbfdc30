/**
 * The {@link Grants} of the process that serves. Each grant has a socket of its own, in a folder of its own that can be
 * mounted into a sandbox; those for TCP share one port, where the capability says which it is.
 */
import {
  Clock,
  DateTime,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Option,
  Path,
  Redacted,
  Result,
  Schedule,
  Scope,
  Struct,
} from "effect"
import { Digest, Mac, SecureRandom } from "effect/crypto"
import { Base64Url, Hex } from "effect/encoding"
import { GrantNotFound, HostFailure, InvalidRequest, Unauthorized } from "../domain/Errors.ts"
import * as Grant from "../domain/Grant.ts"
import { Connected } from "../domain/Peer.ts"
import { Admission, type Visitor } from "./Admission.ts"
import { Grants, type NewGrant } from "./Grants.ts"
import * as Handlers from "./Handlers.ts"
import * as KeptGrants from "./KeptGrants.ts"
import * as Listener from "./Listener.ts"
import * as LiveGrant from "./LiveGrant.ts"
import type { Credentials } from "./PeerCredentials.ts"
import { Questions } from "./Questions.ts"
import { Allowance } from "./RateLimit.ts"
import * as SocketPath from "./SocketPath.ts"

export interface Options {
  /** The folder for the grants' sockets. */
  readonly folder: string
  /** Our own user. */
  readonly uid: number
  /** Where grants for TCP are served; without it there are none. */
  readonly tcp?: { readonly host: string; readonly port: number }
  /** Requests per second and connection; 0 for any number. */
  readonly rateLimit: number
  /** Whether grants that were kept are put to work again; not where only some are to be served. Default: yes. */
  readonly restoresKept?: boolean
}

/** Connections with one grant at a time: a sandbox that opens more harms itself only. */
const maximumConnections = 64

/** Connections to the port of all grants for TCP. */
const maximumOverTcp = 1024

/** All connections with one grant together may ask as often as so many of them alone. */
const connectionsWorth = 4

/** More than a person can oversee, and what fits into one answer. */
const maximumGrants = 100

/** What a grant's socket is called, in its own folder. */
const socketName = "broker.sock"

/** How often grants are looked at that may have come to their end; whether they have is asked at each request too. */
const lookingAfter = Schedule.spaced("1 second")

/** 256 bits. */
const capabilityBytes = 32

/** Whether the capability of a grant was shown, by its hash. */
const isShown = ({ capabilityHash }: Grant.Grant, shown: Option.Option<Uint8Array>) =>
  capabilityHash === undefined ||
  Option.exists(shown, (hash) =>
    Option.exists(Result.getSuccess(Hex.decode(capabilityHash)), (known) => Mac.timingSafeEqual(known, hash)),
  )

/** What can never be, said when it is asked for. */
const check = (transport: Grant.PublicGrant["transport"], { uids }: Grant.Terms) =>
  transport === "tcp" && uids !== "any"
    ? Effect.fail(
        InvalidRequest.make({
          detail: "Over TCP nobody can say which user connects. Grant it to any, with --uid any.",
        }),
      )
    : Effect.void

const make = Effect.fnUntraced(function* ({ folder, rateLimit, restoresKept = true, tcp, uid }: Options) {
  const kept = yield* KeptGrants.make
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const clock = yield* Clock.Clock
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const questions = yield* Questions
  const handlers = yield* Handlers.make()
  const context = yield* Effect.context<Effect.Services<ReturnType<typeof Listener.listen>>>()
  const grants = new Map<string, LiveGrant.LiveGrant>()

  const isForOthers = ({ uids }: Grant.Terms) => uids === "any" || uids.some((other) => other !== uid)

  const socketOf = (id: string) => paths.join(folder, id, socketName)
  const now = () => clock.currentTimeMillisUnsafe()
  const logged = Effect.catch((error: { readonly message: string }) => Effect.logError(error.message))

  // Who is let in

  const hashOf = (capability: Redacted.Redacted) =>
    digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(capability)))

  const uidOf = Option.map(({ uid }: Credentials) => uid)

  /** Lets in whoever may use one of these grants. */
  const admissionTo = (label: () => string, candidates: () => ReadonlyArray<LiveGrant.LiveGrant>) =>
    Admission.of({
      get label() {
        return label()
      },
      hears: (credentials) => candidates().some(({ grant }) => Grant.admits(grant, uidOf(credentials))),
      admit: Effect.fnUntraced(function* (credentials, capability) {
        const shown = Option.isSome(capability) ? Option.some(yield* hashOf(capability.value)) : Option.none()
        // Each of them is compared, whichever it is.
        const meant = candidates().filter(({ grant }) => isShown(grant, shown))
        const live = meant.find((one) => Grant.admits(one.grant, uidOf(credentials)) && !LiveGrant.isOver(one, now()))
        if (live === undefined || live.connected.size >= maximumConnections) return yield* Unauthorized.make({})
        return {
          peer: Connected({ uid: Option.getOrElse(uidOf(credentials), () => -1), grant: live.grant.id }),
          get label() {
            return live.grant.label
          },
          rights: LiveGrant.rights(live, questions, now),
          allowance: live.allowance,
          whenDismissed: (leave) => {
            live.connected.add(leave)
            return () => live.connected.delete(leave)
          },
        } satisfies Visitor
      }),
    })

  const listen = (endpoint: Listener.Endpoint, admission: Admission["Service"], most = maximumConnections) =>
    Listener.listen(endpoint, { admission, handlers, rateLimit, maximumConnections: most }).pipe(
      Effect.provideContext(context),
    )

  const overTcp = () => [...grants.values()].filter(({ grant }) => grant.transport === "tcp")
  const tcpAddress =
    tcp === undefined
      ? undefined
      : yield* listen(
          Listener.Endpoint.Tcp(tcp),
          admissionTo(() => "tcp", overTcp),
          maximumOverTcp,
        )

  if (tcpAddress !== undefined) yield* Effect.logInfo(`Grants made with --tcp are served at ${tcpAddress}.`)

  // Making and ending grants

  /** Puts a grant to work. */
  const open = Effect.fnUntraced(function* (grant: Grant.Grant, socket: string) {
    const scope = yield* Scope.make()
    const address = grant.transport === "tcp" && tcpAddress !== undefined ? tcpAddress : socket
    const live = LiveGrant.make(grant, {
      address,
      scope,
      allowance: new Allowance(rateLimit * connectionsWorth),
      save: (changed) => kept.save(changed, address),
    })
    yield* Effect.gen(function* () {
      if (grant.transport === "unix") {
        const own = paths.dirname(socket)
        yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(own, { recursive: true })))
        const endpoint = Listener.Endpoint.Path({ path: socket, forOthers: isForOthers(grant) })
        yield* listen(
          endpoint,
          admissionTo(
            () => live.grant.label,
            () => [live],
          ),
        )
      }
      yield* live.save(grant)
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    )
    grants.set(grant.id, live)
    return live
  }, Effect.uninterruptible)

  /** Stops a grant. It is forgotten, unless it is kept and only this process ends. */
  const close = Effect.fnUntraced(function* (live: LiveGrant.LiveGrant) {
    grants.delete(live.grant.id)
    // The socket is closed first: whoever is told to go must not find it open.
    const closing = yield* Effect.forkChild(Scope.close(live.scope, Exit.void), { startImmediately: true })
    LiveGrant.dismiss(live)
    yield* questions.forget(live.grant.id)
    yield* Fiber.join(closing)
  }, Effect.uninterruptible)

  const end = Effect.fnUntraced(function* (live: LiveGrant.LiveGrant) {
    // First, so that it does not come back if this process is killed now.
    const removed = yield* Effect.result(LiveGrant.end(live, kept.remove(live.grant)))
    yield* close(live)
    return yield* Effect.fromResult(removed)
  }, Effect.uninterruptible)

  const add = Effect.fn("Grants.add")(function* ({ hasCapability, isKept, terms, transport }: NewGrant) {
    if (transport === "tcp" && tcpAddress === undefined) {
      return yield* InvalidRequest.make({
        detail: "This host has no TCP port for grants. Start it with: tokenkeep serve --tcp 127.0.0.1:0",
      })
    }
    if (grants.size >= maximumGrants) {
      return yield* InvalidRequest.make({
        detail: `There are ${maximumGrants} grants already. Revoke some with: tokenkeep grant revoke`,
      })
    }
    yield* check(transport, terms)
    const id = Hex.encode(yield* random.randomBytes(4))
    const capability =
      hasCapability || transport === "tcp"
        ? Option.some(Redacted.make(Base64Url.encode(yield* random.randomBytes(capabilityBytes))))
        : Option.none()
    const live = yield* open(
      {
        ...terms,
        id,
        transport,
        isKept,
        createdAt: yield* DateTime.now,
        ...(Option.isSome(capability) && { capabilityHash: Hex.encode(yield* hashOf(capability.value)) }),
      },
      socketOf(id),
    ).pipe(
      Effect.catchTag("SocketUnavailable", (error) =>
        Effect.andThen(Effect.logError(error.message), Effect.fail(HostFailure.make({}))),
      ),
    )
    return { id, address: live.address, capability }
  })

  const find = (id: string) =>
    Effect.suspend(() => {
      const live = grants.get(id)
      return live === undefined ? Effect.fail(GrantNotFound.make({ id })) : Effect.succeed(live)
    })

  /** Puts a grant to work again that was kept by a host at the same place. */
  const restore = Effect.fnUntraced(function* (grant: Grant.Grant, socket: string) {
    const isElsewhere = grant.transport === "unix" && socket !== socketOf(grant.id)
    if (isElsewhere || (grant.transport === "tcp" && tcpAddress === undefined)) return
    if (Grant.isOver(grant, now())) yield* kept.remove(grant)
    else yield* open(grant, socket)
  })

  yield* Effect.addFinalizer(() => SocketPath.removeEmpty(folder))
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...grants.values()], (live) => (live.grant.isKept ? close(live) : logged(end(live))), {
      concurrency: "unbounded",
      discard: true,
    }),
  )
  if (restoresKept) {
    for (const { grant, socket } of yield* kept.all) yield* logged(restore(grant, socket))
  }
  yield* SocketPath.sweep(folder, socketName)
  yield* Effect.suspend(() =>
    Effect.forEach(
      [...grants.values()].filter((live) => LiveGrant.isDone(live, now())),
      (live) => logged(end(live)),
      { discard: true },
    ),
  ).pipe(Effect.repeat(lookingAfter), Effect.forkScoped)

  return Grants.of({
    add,
    borrow: (grant) =>
      Effect.acquireRelease(add(grant), ({ id }) =>
        Effect.suspend(() => {
          const live = grants.get(id)
          return live === undefined ? Effect.void : logged(end(live))
        }),
      ),
    list: Effect.sync(() =>
      [...grants.values()].map(({ address, grant }) => ({
        grant: Struct.omit(grant, ["capabilityHash"]),
        hasCapability: grant.capabilityHash !== undefined,
        address,
      })),
    ),
    edit: Effect.fn("Grants.edit")(function* (id, terms) {
      const live = yield* find(id)
      if (live.grant.transport === "unix" && isForOthers(terms) && !isForOthers(live.grant)) {
        return yield* InvalidRequest.make({
          detail: "The socket of this grant was made for your own user only. Make a new grant for other users.",
        })
      }
      yield* check(live.grant.transport, terms)
      yield* LiveGrant.edit(live, terms)
      yield* questions.forget(id)
    }),
    revoke: Effect.fn("Grants.revoke")(function* (id) {
      yield* Effect.flatMap(find(id), end)
    }),
    questions: questions.list,
    decide: questions.decide,
  })
})

/** Serves grants while the layer is there. */
export const layer = (options: Options) =>
  Layer.effect(Grants, make(options)).pipe(Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]))
