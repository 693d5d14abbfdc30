/**
 * The {@link Grants} of the process that serves. Each grant has a socket of its own, in a folder of its own that can be
 * mounted into a sandbox; those for TCP share one port, where the capability says which it is.
 */
import {
  Clock,
  DateTime,
  Effect,
  Equal,
  Exit,
  FileSystem,
  Layer,
  Option,
  Path,
  Redacted,
  Result,
  Schedule,
  Schema,
  Scope,
  Semaphore,
  Struct,
} from "effect"
import { Digest, Mac, SecureRandom } from "effect/crypto"
import { Base64Url, Hex } from "effect/encoding"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as PrivateFile from "../broker/PrivateFile.ts"
import {
  Forbidden,
  GrantNotFound,
  HostFailure,
  InvalidRequest,
  type StoreUnavailable,
  Unauthorized,
} from "../domain/Errors.ts"
import * as Grant from "../domain/Grant.ts"
import { Connected } from "../domain/Peer.ts"
import type { Decision } from "../domain/Question.ts"
import { Admission, type Visitor } from "./Admission.ts"
import { Grants, type NewGrant } from "./Grants.ts"
import * as Handlers from "./Handlers.ts"
import * as Listener from "./Listener.ts"
import type { Credentials } from "./PeerCredentials.ts"
import { Questions } from "./Questions.ts"
import { Allowance } from "./RateLimit.ts"
import type { Rights } from "./Rights.ts"
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

/** A grant at work. */
interface Live {
  grant: Grant.Grant
  /** The grant, and what a person allowed besides for as long as this process runs. */
  terms: Grant.Terms
  /** What a person allowed for one request, or does not want to be asked again. */
  allowedOnce: ReadonlyArray<Grant.Wish>
  refused: ReadonlyArray<Grant.Wish>
  /** Logins that a person allowed once, and that may be brought to their end. */
  begun: ReadonlyArray<Grant.Wish>
  /** How often it was edited: what was taken before is not given back after. */
  edition: number
  /** Uses that were taken, and may be given back. */
  usesUnderWay: number
  /** What it is on disk and in memory changes in steps, one after the other. */
  readonly changing: Semaphore.Semaphore
  isEnded: boolean
  readonly address: string
  readonly allowance: Allowance
  /** Its socket, and the logins that were begun with it. */
  readonly scope: Scope.Closeable
  /** Those who are connected, by how to tell them to go. */
  readonly connected: Set<() => void>
}

/** Connections with one grant at a time: a sandbox that opens more harms itself only. */
const maximumConnections = 64

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

/** The file of a grant that is kept. */
const File = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), socket: Schema.String, grant: Grant.Grant }),
)
const decodeFile = Schema.decodeUnknownOption(File)
const encodeFile = Schema.encodeEffect(File)

const has = (wishes: ReadonlyArray<Grant.Wish>, wish: Grant.Wish) => wishes.some((other) => Equal.equals(other, wish))

/** Ends the connections of a grant; whoever is still welcome may come again. */
const dismiss = ({ connected }: Live) => connected.forEach((leave) => leave())

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
  const { grantsDirectory } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const clock = yield* Clock.Clock
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const questions = yield* Questions
  const handlers = yield* Handlers.make()
  const context = yield* Effect.context<Effect.Services<ReturnType<typeof Listener.listen>>>()
  const grants = new Map<string, Live>()

  const isForOthers = ({ uids }: Grant.Terms) => uids === "any" || uids.some((other) => other !== uid)

  // What a grant allows

  const isOver = ({ grant }: Live) => Grant.isOver(grant, clock.currentTimeMillisUnsafe())

  /** Whether it is over, and nobody is at work with its last use. */
  const isDone = ({ grant, usesUnderWay }: Live) =>
    Grant.isOver(usesUnderWay === 0 ? grant : Struct.omit(grant, ["usesLeft"]), clock.currentTimeMillisUnsafe())

  const socketOf = (id: string) => paths.join(folder, id, socketName)
  const fileOf = (id: string) => paths.join(grantsDirectory, `${id}.json`)

  const save = Effect.fnUntraced(function* (address: string, grant: Grant.Grant) {
    if (!grant.isKept) return
    yield* files.write(fileOf(grant.id), yield* Effect.orDie(encodeFile({ version: 1, socket: address, grant })))
  })

  /** Changes a grant, on disk first: what a person was told must be so after the next start too. */
  const write = Effect.fnUntraced(function* (live: Live, grant: Grant.Grant) {
    // Its file is gone, and must not come back.
    if (live.isEnded) return
    yield* save(live.address, grant)
    const added = live.terms.approved.filter((wish) => !has(live.grant.approved, wish))
    live.grant = grant
    live.terms = { ...grant, approved: [...grant.approved, ...added] }
  })

  const change = (live: Live, next: (grant: Grant.Grant) => Grant.Grant) =>
    Effect.suspend(() => write(live, next(live.grant))).pipe(live.changing.withPermit, Effect.uninterruptible)

  /** Takes a use, and returns how to give it back, or that it was used. */
  const takeUse = Effect.fnUntraced(function* (live: Live) {
    const { edition, grant } = live
    if (grant.usesLeft === 0 || live.isEnded) return yield* Unauthorized.make({})
    yield* write(live, Grant.countUses(grant, -1))
    live.usesUnderWay++
    const giveBack = Effect.suspend(() =>
      edition === live.edition ? write(live, Grant.countUses(live.grant, 1)) : Effect.void,
    ).pipe(
      live.changing.withPermit,
      Effect.catch((error) => Effect.logError(error.message)),
    )
    return (isUsed: boolean) =>
      Effect.ensuring(
        isUsed ? Effect.void : giveBack,
        Effect.sync(() => live.usesUnderWay--),
      )
  })

  /** Does what a person said. */
  const settle = (live: Live, wish: Grant.Wish) =>
    Effect.fnUntraced(function* (decision: Decision, isAwaited: boolean) {
      if (decision === "once" && !isAwaited) live.allowedOnce = [...live.allowedOnce, wish]
      if (decision === "no") live.refused = [...live.refused, wish]
      if (decision === "run") live.terms = Grant.approve(live.terms, wish)
      if (decision === "always") {
        yield* change(live, (grant) => Grant.approve(grant, wish)).pipe(
          Effect.catch((error) => Effect.logError(error.message)),
        )
      }
    })

  /** A login is more than one request. */
  const noteBegun = (live: Live, wish: Grant.Wish) => {
    const isLogin = wish._tag === "Account" && wish.permission === "login"
    if (isLogin && !Grant.permits(live.terms, wish) && !has(live.begun, wish)) live.begun = [...live.begun, wish]
  }

  const demand = Effect.fnUntraced(function* (live: Live, wish: Grant.Wish) {
    if (isOver(live)) return yield* Forbidden.make({})
    if (Grant.permits(live.terms, wish)) return
    if (has(live.allowedOnce, wish)) {
      live.allowedOnce = live.allowedOnce.toSpliced(
        live.allowedOnce.findIndex((other) => Equal.equals(other, wish)),
        1,
      )
      return noteBegun(live, wish)
    }
    const { id, label } = live.grant
    const isAllowed =
      !has(live.refused, wish) && (yield* questions.ask({ grant: { id, label }, wish, settle: settle(live, wish) }))
    // Whoever edits the grant instead of answering has answered too.
    if (isOver(live) || !(isAllowed || Grant.permits(live.terms, wish))) return yield* Forbidden.make({})
    noteBegun(live, wish)
  })

  const rightsOf = (live: Live): Rights => ({
    isRestricted: true,
    mayNow: (wish) => live.grant.usesLeft === undefined && !isOver(live) && Grant.permits(live.terms, wish),
    demand: (wish) => demand(live, wish),
    demandStill: (wish) =>
      Effect.suspend(() =>
        !isOver(live) && (Grant.permits(live.terms, wish) || has(live.begun, wish))
          ? Effect.void
          : Effect.fail(Forbidden.make({})),
      ),
    sees: (account) => Grant.sees(live.terms, account),
    seesProvider: (name) => Grant.seesProvider(live.terms, name),
    seesApiKey: (name) => Grant.permits(live.terms, { _tag: "ApiKey", name }),
    whenOver: (work) => Scope.addFinalizer(live.scope, work),
    counted: <A, E>(work: Effect.Effect<A, E>, hasHandedOut: (result: A) => boolean) =>
      Effect.suspend((): Effect.Effect<A, E | Unauthorized | StoreUnavailable> => {
        if (live.grant.usesLeft === undefined) return work
        // Counted before it is out: what was handed out twice after a crash would be once too often.
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(live.changing.withPermit(takeUse(live)), (settleUse) =>
            Effect.onExit(restore(work), (exit) => settleUse(Exit.isSuccess(exit) && hasHandedOut(exit.value))),
          ),
        )
      }),
  })

  // Who is let in

  const hashOf = (capability: Redacted.Redacted) =>
    digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(capability)))

  const uidOf = Option.map(({ uid }: Credentials) => uid)

  /** Lets in whoever may use one of these grants. */
  const admissionTo = (label: () => string, candidates: () => ReadonlyArray<Live>) =>
    Admission.of({
      get label() {
        return label()
      },
      hears: (credentials) => candidates().some(({ grant }) => Grant.admits(grant, uidOf(credentials))),
      admit: Effect.fnUntraced(function* (credentials, capability) {
        const shown = Option.isSome(capability) ? Option.some(yield* hashOf(capability.value)) : Option.none()
        // Each of them is compared, whichever it is.
        const meant = candidates().filter(({ grant }) => isShown(grant, shown))
        const live = meant.find((one) => Grant.admits(one.grant, uidOf(credentials)) && !isOver(one))
        if (live === undefined) return yield* Unauthorized.make({})
        return {
          peer: Connected({ uid: Option.getOrElse(uidOf(credentials), () => -1), grant: live.grant.id }),
          get label() {
            return live.grant.label
          },
          rights: rightsOf(live),
          allowance: live.allowance,
          whenDismissed: (leave) => {
            live.connected.add(leave)
            return () => live.connected.delete(leave)
          },
        } satisfies Visitor
      }),
    })

  const listen = (endpoint: Listener.Endpoint, admission: Admission["Service"]) =>
    Listener.listen(endpoint, { admission, handlers, rateLimit, maximumConnections }).pipe(
      Effect.provideContext(context),
    )

  const overTcp = () => [...grants.values()].filter(({ grant }) => grant.transport === "tcp")
  const tcpAddress =
    tcp === undefined
      ? undefined
      : yield* listen(
          Listener.Endpoint.Tcp(tcp),
          admissionTo(() => "tcp", overTcp),
        )

  if (tcpAddress !== undefined) yield* Effect.logInfo(`Grants made with --tcp are served at ${tcpAddress}.`)

  // Making and ending grants

  /** Puts a grant to work. */
  const open = Effect.fnUntraced(function* (grant: Grant.Grant, socket: string) {
    const scope = yield* Scope.make()
    const live: Live = {
      grant,
      terms: grant,
      allowedOnce: [],
      refused: [],
      begun: [],
      edition: 0,
      usesUnderWay: 0,
      changing: yield* Semaphore.make(1),
      isEnded: false,
      address: grant.transport === "tcp" && tcpAddress !== undefined ? tcpAddress : socket,
      scope,
      allowance: new Allowance(rateLimit * connectionsWorth),
      connected: new Set(),
    }
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
      yield* save(live.address, grant)
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    )
    grants.set(grant.id, live)
    return live
  }, Effect.uninterruptible)

  /** Stops a grant. It is forgotten, unless it is kept and only this process ends. */
  const close = Effect.fnUntraced(function* (live: Live) {
    grants.delete(live.grant.id)
    dismiss(live)
    yield* questions.forget(live.grant.id)
    yield* Scope.close(live.scope, Exit.void)
  }, Effect.uninterruptible)

  const end = Effect.fnUntraced(function* (live: Live) {
    // First, so that it does not come back if this process is killed now.
    const removed = yield* Effect.suspend(() => {
      live.isEnded = true
      return live.grant.isKept ? files.remove(fileOf(live.grant.id)) : Effect.void
    }).pipe(live.changing.withPermit, Effect.result)
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
  const restoreOne = Effect.fnUntraced(function* (name: string) {
    const path = paths.join(grantsDirectory, name)
    const content = yield* files.read(path)
    if (Option.isNone(content)) return
    const file = Option.filter(decodeFile(content.value), ({ grant }) => path === fileOf(grant.id))
    if (Option.isNone(file)) {
      return yield* Effect.logWarning(
        `The grant in ${path} cannot be understood. It was left as it is, and is not at work.`,
      )
    }
    const { grant, socket } = file.value
    const isElsewhere = grant.transport === "unix" && socket !== socketOf(grant.id)
    if (isElsewhere || (grant.transport === "tcp" && tcpAddress === undefined)) return
    if (Grant.isOver(grant, clock.currentTimeMillisUnsafe())) yield* files.remove(path)
    else yield* open(grant, socket)
  })

  const logged = Effect.catch((error: { readonly message: string }) => Effect.logError(error.message))

  const restore = Effect.flatMap(files.list(grantsDirectory, "File"), (names) =>
    Effect.forEach(
      names.filter((file) => file.endsWith(".json")),
      (name) => logged(restoreOne(name)),
      { discard: true },
    ),
  ).pipe(logged)

  yield* Effect.addFinalizer(() => SocketPath.removeEmpty(folder))
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...grants.values()], (live) => (live.grant.isKept ? close(live) : logged(end(live))), {
      concurrency: "unbounded",
      discard: true,
    }),
  )
  if (restoresKept) yield* restore
  yield* SocketPath.sweep(folder, socketName)
  yield* Effect.suspend(() =>
    Effect.forEach([...grants.values()].filter(isDone), (live) => logged(end(live)), { discard: true }),
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
      const isSameUsers = Equal.equals(terms.uids, live.grant.uids)
      yield* change(live, (grant) => ({ ...Struct.omit(grant, ["expiresAt", "usesLeft"]), ...terms }))
      // What a person has just written down replaces what was said to single questions.
      live.terms = live.grant
      live.refused = []
      live.allowedOnce = []
      live.begun = []
      live.edition++
      yield* questions.forget(id)
      if (!isSameUsers) dismiss(live)
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
