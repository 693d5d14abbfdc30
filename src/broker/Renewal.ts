/**
 * Renews tokens before they expire: one fiber over a heap of due times.
 *
 * Timers are hints. No sleep is longer than 30 s, and on waking the wall clock is compared with the monotonic one: after a
 * suspend everything that has become due is seen at once; after the clock was set back due times move back with it, because
 * a token lives as long as before.
 */
import { Clock, Context, DateTime, Duration, Effect, HashSet, Layer, Option, PubSub, Schema } from "effect"
import TinyQueue from "tinyqueue"
import { type AccountKey, AccountKeyFromString } from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"
import { renewAt, waitAfter } from "../domain/RenewalPlan.ts"
import { Accounts } from "./Accounts.ts"
import { Agenda, type Entry } from "./Agenda.ts"
import { Refresher } from "./Refresher.ts"

/** The longest sleep: no timer is to be trusted across a suspend. */
const longestSleep = Duration.toMillis("30 seconds")

/** Clocks that drift apart by more than this between two looks were set, not slewed. */
const jump = Duration.toMillis("5 seconds")

/** At one provider so many accounts are renewed at a time, however many are due after a long sleep. */
const atATime = 4

/** A token that is due as soon as it comes is not worth more than this. */
const shortestInterval = Duration.toMillis("30 seconds")

/** Renews tokens ahead of time, for as long as its scope is open. */
export class Renewal extends Context.Service<
  Renewal,
  {
    /** When the account will be renewed, if it will. */
    readonly next: (account: AccountKey) => Effect.Effect<Option.Option<DateTime.Utc>>
  }
>()("tokenkeep/broker/Renewal") {
  static readonly layer: Layer.Layer<Renewal, never, Accounts | Refresher> = Layer.effect(
    this,
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const refresher = yield* Refresher
      const scope = yield* Effect.scope
      const agenda = new Agenda()
      const pools = new Map<string, Pool>()
      /** What is waiting for its turn, or having it: it is planned anew when that is over. */
      const inHand = new Set<string>()

      // Before the accounts are listed, so that no change falls in between.
      const changes = yield* accounts.changes

      /** Puts the account where its record says, or, if that time is past already, `otherwise`. */
      const plan = Effect.fnUntraced(function* (account: AccountKey, otherwise?: Pick<Entry, "due" | "failures">) {
        const key = account.toString()
        const found = yield* accounts.get(account)
        const at = Option.flatMap(found, (record) => renewAt(account, record))
        if (Option.isNone(found) || Option.isNone(at)) return agenda.remove(key)
        const entry = { key, due: DateTime.toEpochMillis(at.value), expiresAt: expiryOf(found.value), failures: 0 }
        const isPast = entry.due <= (yield* Clock.currentTimeMillis)
        agenda.set(isPast ? { ...entry, ...otherwise } : entry)
      })

      /** Plans what was loaded or has changed. What cannot be read is planned when it changes. */
      const planChanged = (account: AccountKey) =>
        inHand.has(account.toString())
          ? Effect.void
          : Effect.catch(plan(account), (error) => Effect.logWarning(error.message))

      const renew = Effect.fnUntraced(function* (account: AccountKey, { expiresAt }: Entry) {
        // Somebody else may have refreshed it while it waited for its turn.
        const found = yield* accounts.get(account)
        if (Option.exists(found, (record) => expiryOf(record) === expiresAt)) {
          yield* refresher.refresh(account, "ahead of time")
        }
      })

      /** One turn: renews, and plans what comes next. Nothing that happens to one account may end the work on others. */
      const turn = Effect.fnUntraced(function* (entry: Entry) {
        const account = yield* Effect.orDie(decodeKey(entry.key))
        const isRenewed = yield* renew(account, entry).pipe(
          Effect.as(true),
          Effect.catch((error) => Effect.as(Effect.logInfo(`Not renewed: ${error.message}`), false)),
          Effect.catchDefect((defect) => Effect.as(Effect.logError("A renewal broke off.", defect), false)),
        )
        inHand.delete(entry.key)
        const now = yield* Clock.currentTimeMillis
        const failures = isRenewed ? 0 : entry.failures + 1
        const wait = isRenewed ? Option.some(shortestInterval) : waitAfter(failures)
        if (Option.isNone(wait)) return
        const later = { due: now + wait.value, failures }
        yield* Effect.catch(plan(account, later), () => Effect.sync(() => agenda.set({ ...entry, ...later })))
      })

      const work = Effect.fnUntraced(function* (pool: Pool) {
        for (let entry = pool.waiting.pop(); entry !== undefined; entry = pool.waiting.pop()) yield* turn(entry)
        pool.workers--
      })

      const take = Effect.fnUntraced(function* (entry: Entry) {
        const provider = providerOf(entry.key)
        const pool = pools.get(provider) ?? { waiting: new TinyQueue<Entry>([], byExpiry), workers: 0 }
        pools.set(provider, pool)
        inHand.add(entry.key)
        pool.waiting.push(entry)
        if (pool.workers === atATime) return
        pool.workers++
        yield* Effect.forkIn(work(pool), scope)
      })

      const clocks = Effect.all([Clock.currentTimeMillis, Effect.map(Clock.monotonicTimeNanos, toMillis)])

      /** Follows a wall clock that was set back. One that leapt forward, as after a suspend, makes things due by itself. */
      const follow = Effect.fnUntraced(function* ([lastWall, lastMonotonic]: Clocks) {
        const [wall, monotonic] = yield* clocks
        const leap = wall - lastWall - (monotonic - lastMonotonic)
        if (Math.abs(leap) > jump) yield* Effect.logInfo(`The clock leapt by ${Math.round(leap / 1000)} s.`)
        if (leap < -jump) agenda.shift(leap)
        return [wall, monotonic] as const
      })

      yield* Effect.gen(function* () {
        let seen: Clocks = yield* clocks
        const known = yield* Effect.catch(accounts.list, (error) => Effect.as(Effect.logWarning(error.message), []))
        let toPlan = [...known]
        while (true) {
          const batch = toPlan.splice(-atOnce)
          yield* Effect.forEach(batch, planChanged, { concurrency: readers, discard: true })
          seen = yield* follow(seen)
          const [now] = seen
          const due = agenda.takeDue(now, atOnce)
          yield* Effect.forEach(due, take, { discard: true })
          if (toPlan.length > 0 || due.length === atOnce) {
            yield* Effect.yieldNow
            continue
          }
          const sleep = Math.min(longestSleep, (agenda.nextDue() ?? Number.POSITIVE_INFINITY) - now)
          const changed = yield* Effect.timeoutOption(PubSub.takeAll(changes), sleep)
          toPlan = [...HashSet.fromIterable(Option.getOrElse(changed, () => []))]
        }
      }).pipe(Effect.forkScoped)

      return Renewal.of({
        next: (account) =>
          Effect.sync(() =>
            Option.map(Option.fromUndefinedOr(agenda.get(account.toString())), ({ due }) => DateTime.makeUnsafe(due)),
          ),
      })
    }),
  )
}

/** The accounts of one provider whose time has come. */
interface Pool {
  readonly waiting: TinyQueue<Entry>
  workers: number
}

type Clocks = readonly [wall: number, monotonic: number]

/** So many accounts are planned, or taken, before others have their turn. */
const atOnce = 1000

/** So many records are read at a time. */
const readers = 16

const byExpiry = (one: Entry, other: Entry): number => one.expiresAt - other.expiresAt

const expiryOf = ({ token }: AccountRecord): number =>
  token.expiresAt === undefined ? Number.POSITIVE_INFINITY : DateTime.toEpochMillis(token.expiresAt)

const toMillis = (nanos: bigint): number => Number(nanos / 1_000_000n)

const decodeKey = Schema.decodeEffect(AccountKeyFromString)

const providerOf = (key: string): string => key.split(":", 1)[0] ?? key
