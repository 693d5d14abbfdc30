/**
 * Logins in progress. A session is single use, bound to the peer that began it, and owns a scope: whatever runs for it
 * (a poller, a listener) ends with it, however it ends.
 *
 * Every change of a session is one synchronous step before any waiting, so two callers can never both take it.
 */
import { Context, DateTime, Duration, Effect, Equal, Exit, Layer, Result, Schedule, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import type { AccountKey } from "../domain/AccountKey.ts"
import { PeerMismatch, type SessionError, SessionNotFound } from "../domain/Errors.ts"
import type { Peer } from "../domain/Peer.ts"
import * as Session from "../domain/Session.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import type { LoginInProgress } from "./LoginInProgress.ts"

export type OpenSession = Session.Open<LoginInProgress>

/** What a login needs to become a session. */
export interface NewSession {
  readonly account: AccountKey
  readonly peer: Peer
}

/** Keeps logins in progress. */
export class Sessions extends Context.Service<
  Sessions,
  {
    /**
     * Begins a login in a scope of its own, and keeps it until it is completed, removed, used or too old. It lives as
     * long as the login itself, if that is shorter than a session's life.
     */
    readonly create: <A extends { readonly login: LoginInProgress; readonly expiresIn?: Duration.Duration }, E, R>(
      session: NewSession,
      begin: Effect.Effect<A, E, R>,
    ) => Effect.Effect<{ readonly session: OpenSession; readonly begun: A }, E, Exclude<R, Scope.Scope>>
    /** The session, if the peer may still go on with it. */
    readonly get: (id: string, peer: Peer) => Effect.Effect<OpenSession, SessionError>
    /** As `get`, and from now on the session is used. */
    readonly take: (id: string, peer: Peer) => Effect.Effect<OpenSession, SessionError>
    /** Ends a session that was taken and went well. */
    readonly complete: (id: string) => Effect.Effect<void>
    /** Ends a session in whatever state. It is fine if there is none of this id. */
    readonly remove: (id: string, peer: Peer) => Effect.Effect<void, PeerMismatch>
    /** Ends all sessions. */
    readonly clear: Effect.Effect<void>
    /** Ends the sessions that are expired or used. Returns how many those were. */
    readonly sweep: Effect.Effect<number>
    /** How many sessions there are. */
    readonly size: Effect.Effect<number>
  }
>()("tokenkeep/broker/Sessions") {
  static readonly layer: Layer.Layer<Sessions, never, BrokerConfig | SecureRandom.SecureRandom> = Layer.effect(
    this,
    Effect.gen(function* () {
      const { sessionLifetime } = yield* BrokerConfig
      const random = yield* SecureRandom.SecureRandom

      interface Entry {
        readonly session: Session.Session<LoginInProgress>
        readonly scope: Scope.Closeable
      }
      const entries = new Map<string, Entry>()
      const used = new Set<string>()
      // Sessions by the second in which they expire: a sweep looks at what is due, however many sessions there are.
      const due = new Map<number, Set<string>>()

      const keep = (entry: Entry) => {
        const { expiresAt, id } = entry.session
        entries.set(id, entry)
        const second = secondOf(expiresAt)
        const sameSecond = due.get(second)
        if (sameSecond === undefined) due.set(second, new Set([id]))
        else sameSecond.add(id)
      }

      /** Forgets the session and returns what must be closed. */
      const forget = (id: string): Scope.Closeable | undefined => {
        const entry = entries.get(id)
        if (entry === undefined) return undefined
        entries.delete(id)
        used.delete(id)
        const second = secondOf(entry.session.expiresAt)
        const sameSecond = due.get(second)
        sameSecond?.delete(id)
        if (sameSecond?.size === 0) due.delete(second)
        return entry.scope
      }

      const end = (ids: Iterable<string>) =>
        Effect.suspend(() => {
          const scopes = [...ids].flatMap((id) => forget(id) ?? [])
          return Effect.as(
            Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.void), { concurrency: 64, discard: true }),
            scopes.length,
          )
        })

      /** Finds and checks a session, and does `then` with it, all in one step. */
      const found = <A>(id: string, peer: Peer, then: (open: OpenSession, scope: Scope.Closeable) => A) =>
        Effect.flatMap(DateTime.now, (now) =>
          Effect.suspend((): Effect.Effect<A, SessionError> => {
            const entry = entries.get(id)
            if (entry === undefined) return Effect.fail(SessionNotFound.make({ sessionId: id }))
            const open = Session.check(entry.session, peer, now)
            return Effect.fromResult(Result.map(open, (session) => then(session, entry.scope)))
          }),
        )

      /** Strictly past its life: a session that ends in this instant is told so once more before it is forgotten. */
      const isDue = (id: string, now: DateTime.Utc) => {
        const entry = entries.get(id)
        return entry !== undefined && DateTime.isLessThan(entry.session.expiresAt, now)
      }

      const expired = (now: DateTime.Utc): ReadonlyArray<string> =>
        [...due]
          .filter(([second]) => second <= secondOf(now))
          .flatMap(([, ids]) => [...ids].filter((id) => isDue(id, now)))

      const sweep = Effect.gen(function* () {
        const now = yield* DateTime.now
        return yield* end(new Set([...used, ...expired(now)]))
      }).pipe(Effect.withSpan("Sessions.sweep"))

      const sessions = Sessions.of({
        create: Effect.fnUntraced(function* ({ account, peer }, begin) {
          const scope = yield* Scope.make()
          return yield* Effect.gen(function* () {
            const id = Hex.encode(yield* random.randomBytes(16))
            const begun = yield* Scope.provide(begin, scope)
            const lifetime = Duration.min(sessionLifetime, begun.expiresIn ?? Duration.infinity)
            const expiresAt = DateTime.addDuration(yield* DateTime.now, lifetime)
            const session = Session.open(id, account, peer, expiresAt, begun.login)
            keep({ session, scope })
            return { session, begun }
          }).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
        }),
        get: (id, peer) => found(id, peer, (open) => open),
        take: (id, peer) =>
          found(id, peer, (open, scope) => {
            entries.set(id, { session: Session.use(open), scope })
            used.add(id)
            return open
          }),
        complete: (id) => Effect.suspend(() => (used.has(id) ? Effect.asVoid(end([id])) : Effect.void)),
        remove: (id, peer) =>
          Effect.suspend(() => {
            const entry = entries.get(id)
            return entry === undefined || Equal.equals(entry.session.peer, peer)
              ? Effect.asVoid(end([id]))
              : Effect.fail(PeerMismatch.make({ sessionId: id }))
          }),
        clear: Effect.suspend(() => Effect.asVoid(end([...entries.keys()]))),
        sweep,
        size: Effect.sync(() => entries.size),
      })

      yield* Effect.addFinalizer(() => sessions.clear)
      yield* sweep.pipe(Effect.schedule(sweepSchedule), Effect.forkScoped)
      return sessions
    }),
  )
}

/** Often enough that nothing lingers, seldom enough to cost nothing: sessions are checked on use anyway. */
const sweepSchedule = Schedule.spaced("60 seconds")

const secondOf = (instant: DateTime.Utc): number => Math.floor(DateTime.toEpochMillis(instant) / 1000)
