/**
 * Logins in progress. A session is single use, bound to the peer that began it, and owns a scope: whatever runs for it
 * (a poller, a listener) ends with it, however it ends.
 *
 * Every change of a session is one synchronous step before any waiting, so two callers can never both take it.
 */
import {
  Context,
  DateTime,
  Duration,
  Effect,
  Equal,
  Exit,
  Layer,
  MutableHashMap,
  Option,
  Result,
  Schedule,
  Scope,
} from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import type { AccountKey } from "../domain/AccountKey.ts"
import { PeerMismatch, RateLimited, type SessionError, SessionNotFound } from "../domain/Errors.ts"
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
     * long as the login itself, if that is shorter than a session's life. A peer has only so many at a time.
     */
    readonly create: <A extends { readonly login: LoginInProgress; readonly expiresIn?: Duration.Duration }, E, R>(
      session: NewSession,
      begin: Effect.Effect<A, E, R>,
    ) => Effect.Effect<{ readonly session: OpenSession; readonly begun: A }, E | RateLimited, Exclude<R, Scope.Scope>>
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
    /** Whether the session was taken and is not over: nobody has cancelled it since. */
    readonly isTaken: (id: string) => Effect.Effect<boolean>
    /** Ends the sessions that are expired, or used for longer than any exchange takes. Returns how many those were. */
    readonly sweep: Effect.Effect<number>
    /** How many sessions there are. */
    readonly size: Effect.Effect<number>
  }
>()("tokenkeep/broker/Sessions") {
  static readonly layer: Layer.Layer<Sessions, never, BrokerConfig | SecureRandom.SecureRandom> = Layer.effect(
    this,
    Effect.gen(function* () {
      const { sessionLifetime, sessionsPerPeer } = yield* BrokerConfig
      const random = yield* SecureRandom.SecureRandom

      interface Entry {
        readonly session: Session.Session<LoginInProgress>
        readonly scope: Scope.Closeable
      }
      const entries = new Map<string, Entry>()
      /** When each used session was taken, in epoch milliseconds. */
      const used = new Map<string, number>()
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

      const perPeer = MutableHashMap.empty<Peer, number>()
      const countOf = (peer: Peer) => Option.getOrElse(MutableHashMap.get(perPeer, peer), () => 0)
      const count = (peer: Peer, change: 1 | -1) => {
        const next = countOf(peer) + change
        if (next === 0) MutableHashMap.remove(perPeer, peer)
        else MutableHashMap.set(perPeer, peer, next)
      }

      /** Forgets the session and returns what must be closed. */
      const forget = (id: string): Scope.Closeable | undefined => {
        const entry = entries.get(id)
        if (entry === undefined) return undefined
        entries.delete(id)
        count(entry.session.peer, -1)
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
            Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.void), {
              concurrency: "unbounded",
              discard: true,
            }),
            scopes.length,
          )
        })

      /** Finds and checks a session, and does `then` with it, all in one step. */
      const found = <A>(
        id: string,
        peer: Peer,
        then: (open: OpenSession, scope: Scope.Closeable, now: DateTime.Utc) => A,
      ) =>
        Effect.flatMap(DateTime.now, (now) =>
          Effect.suspend((): Effect.Effect<A, SessionError> => {
            const entry = entries.get(id)
            if (entry === undefined) return Effect.fail(SessionNotFound.make({ sessionId: id }))
            const open = Session.check(entry.session, peer, now)
            return Effect.fromResult(Result.map(open, (session) => then(session, entry.scope, now)))
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
        const over = DateTime.toEpochMillis(now) - Duration.toMillis(sweepInterval)
        const ended = [...used].filter(([, takenAt]) => takenAt <= over).map(([id]) => id)
        return yield* end(new Set([...ended, ...expired(now)]))
      }).pipe(Effect.withSpan("Sessions.sweep"))

      const sessions = Sessions.of({
        create: ({ account, peer }, begin) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              if (countOf(peer) >= sessionsPerPeer) return yield* RateLimited.make({ retryAfter: sweepInterval })
              count(peer, 1)
              const scope = yield* Scope.make()
              const begun = yield* restore(Scope.provide(begin, scope)).pipe(
                Effect.onError((cause) =>
                  Effect.andThen(
                    Effect.sync(() => count(peer, -1)),
                    Scope.close(scope, Exit.failCause(cause)),
                  ),
                ),
              )
              const id = Hex.encode(yield* random.randomBytes(16))
              const lifetime = Duration.min(sessionLifetime, begun.expiresIn ?? Duration.infinity)
              const expiresAt = DateTime.addDuration(yield* DateTime.now, lifetime)
              const session = Session.open(id, account, peer, expiresAt, begun.login)
              keep({ session, scope })
              return { session, begun }
            }),
          ),
        get: (id, peer) => found(id, peer, (open) => open),
        take: (id, peer) =>
          found(id, peer, (open, scope, now) => {
            entries.set(id, { session: Session.use(open), scope })
            used.set(id, DateTime.toEpochMillis(now))
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
        isTaken: (id) => Effect.sync(() => used.has(id)),
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
const sweepInterval = Duration.seconds(60)
const sweepSchedule = Schedule.spaced(sweepInterval)

const secondOf = (instant: DateTime.Utc): number => Math.floor(DateTime.toEpochMillis(instant) / 1000)
