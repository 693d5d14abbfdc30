/**
 * Renews tokens before they expire: one fiber over a heap of due times.
 *
 * Timers are hints. No sleep is longer than 30 s, and on waking the wall clock is compared with the monotonic one: after a
 * suspend everything that has become due is seen at once; after the clock was set back due times move back with it, because
 * a token lives as long as before.
 */
import { Clock, Context, DateTime, Duration, Effect, Layer, Option, PubSub, Queue, Schedule, Schema } from "effect"
import TinyQueue from "tinyqueue"
import { type AccountKey, AccountKeyFromString, split } from "../domain/AccountKey.ts"
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

/** The accounts must become known, however long the store cannot list them. */
const listing = Schedule.spaced("30 seconds")

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

      /** What is to be planned, for the first time or anew. Only one fiber does that, and it is woken by this. */
      const news = yield* Queue.unbounded<AccountKey>()

      // Before the accounts are listed, so that no change falls in between.
      const changes = yield* accounts.changes
      yield* PubSub.takeAll(changes).pipe(
        Effect.flatMap((changed) => Queue.offerAll(news, changed)),
        Effect.forever,
        Effect.forkScoped,
      )
      yield* accounts.list.pipe(
        Effect.tapError((error) => Effect.logWarning(error.message)),
        Effect.retry(listing),
        Effect.flatMap((known) => Queue.offerAll(news, known)),
        Effect.forkScoped,
      )

      /**
       * Puts the account where its record says. A time that is past is said of what was just tried, too; and one that is
       * not was perhaps moved because the clock was set back. So what is planned for the same token stays.
       */
      const plan = Effect.fnUntraced(function* (account: AccountKey) {
        const key = account.toString()
        const found = yield* accounts.get(account)
        const now = yield* DateTime.now
        const at = Option.flatMap(found, (record) => renewAt(account, record, now))
        if (Option.isNone(found) || Option.isNone(at)) return agenda.remove(key)
        const due = DateTime.toEpochMillis(at.value)
        const expiresAt = expiryOf(found.value)
        const isPast = due <= DateTime.toEpochMillis(now)
        const known = agenda.get(key)
        const stays =
          known?.expiresAt === expiresAt
            ? isPast || found.value.history.failures === 0
            : known?.expiresAt === unknown && isPast
        agenda.set({ key, due, failures: 0, ...(stays && known), expiresAt })
      })

      /** Plans what was loaded, has changed or had its turn. What cannot be read is looked at again in a while. */
      const planAnew = Effect.fnUntraced(function* (account: AccountKey) {
        const key = account.toString()
        if (inHand.has(key)) return
        const isPlanned = yield* works(plan(account), (error) => Effect.logWarning(error.message))
        if (isPlanned || agenda.get(key) !== undefined) return
        const due = (yield* Clock.currentTimeMillis) + shortestInterval
        agenda.set({ key, due, expiresAt: unknown, failures: 1 })
      })

      const renew = Effect.fnUntraced(function* (account: AccountKey, expiresAt: number) {
        // Somebody else may have refreshed it while it waited for its turn.
        const found = yield* accounts.get(account)
        if (Option.exists(found, (record) => expiryOf(record) === expiresAt)) {
          yield* refresher.refresh(account, "ahead of time")
        }
      })

      /** One turn: renews, and says when to try again, should the record not say so. */
      const turn = Effect.fnUntraced(function* ({ expiresAt, key, ...entry }: Waiting) {
        const account = yield* Effect.orDie(decodeKey(key))
        const isRenewed = yield* works(renew(account, expiresAt), (error) =>
          Effect.logInfo(`Not renewed: ${error.message}`),
        )
        const failures = isRenewed ? 0 : entry.failures + 1
        const wait = isRenewed ? shortestInterval : Option.getOrElse(waitAfter(failures), () => forever)
        const due = (yield* Clock.currentTimeMillis) + wait
        inHand.delete(key)
        agenda.set({ key, due, expiresAt: isRenewed ? unknown : expiresAt, failures })
        yield* Queue.offer(news, account)
      })

      const work = Effect.fnUntraced(function* (pool: Pool) {
        for (let entry = pool.waiting.pop(); entry !== undefined; entry = pool.waiting.pop()) yield* turn(entry)
        pool.workers--
      })

      const take = Effect.fnUntraced(function* ({ expiresAt, failures, key }: Waiting) {
        const provider = providerOf(key)
        const pool = pools.get(provider) ?? { waiting: new TinyQueue<Waiting>([], byExpiry), workers: 0 }
        pools.set(provider, pool)
        inHand.add(key)
        // Nothing more than this: after a long sleep it may be a million.
        pool.waiting.push({ expiresAt, failures, key })
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
        let sleep = longestSleep
        while (true) {
          const toPlan = yield* Effect.timeoutOption(Queue.takeBetween(news, 1, atOnce), sleep)
          seen = yield* follow(seen)
          yield* Effect.forEach(unique(Option.getOrElse(toPlan, () => [])), planAnew, {
            concurrency: readers,
            discard: true,
          })
          const now = yield* Clock.currentTimeMillis
          const due = agenda.takeDue(now, atOnce)
          yield* Effect.forEach(due, take, { discard: true })
          sleep = due.length === atOnce ? 0 : Math.min(longestSleep, (agenda.nextDue() ?? forever) - now)
        }
      }).pipe(Effect.forkScoped)

      return Renewal.of({
        next: (account) =>
          Effect.sync(() =>
            Option.fromUndefinedOr(agenda.get(account.toString())).pipe(
              Option.flatMap(({ due }) => DateTime.make(due)),
            ),
          ),
      })
    }),
  )
}

/** The accounts of one provider whose time has come. */
interface Pool {
  readonly waiting: TinyQueue<Waiting>
  workers: number
}

type Waiting = Omit<Entry, "due">

type Clocks = readonly [wall: number, monotonic: number]

/** So many accounts are planned, or taken, before others have their turn. */
const atOnce = 1000

/** So many records are read at a time. */
const readers = 16

/** The expiry of a token that was not looked at: first in every order, and no token's. */
const unknown = Number.NEGATIVE_INFINITY

const forever = Number.POSITIVE_INFINITY

/** Whether it worked. Nothing that happens to one account may end the work on others. */
const works = <E>(work: Effect.Effect<unknown, E>, tell: (error: E) => Effect.Effect<void>): Effect.Effect<boolean> =>
  work.pipe(
    Effect.as(true),
    Effect.catch((error) => Effect.as(tell(error), false)),
    Effect.catchDefect((defect) => Effect.as(Effect.logError("A renewal broke off.", defect), false)),
  )

const byExpiry = (one: Waiting, other: Waiting): number => one.expiresAt - other.expiresAt

const expiryOf = ({ token }: AccountRecord): number =>
  token.expiresAt === undefined ? forever : DateTime.toEpochMillis(token.expiresAt)

const unique = (accounts: ReadonlyArray<AccountKey>): Iterable<AccountKey> =>
  new Map(accounts.map((account) => [account.toString(), account])).values()

const toMillis = (nanos: bigint): number => Number(nanos / 1_000_000n)

const decodeKey = Schema.decodeEffect(AccountKeyFromString)

const providerOf = (key: string): string => split(key).provider
