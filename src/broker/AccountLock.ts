/**
 * One at a time per account. There are two locks, because a logout must not wait until a provider answers.
 *
 * - `refresh`: held while a refresh token is used, from reading it to keeping what it brought.
 * - `record`: held while a record is changed, for moments.
 *
 * Whoever holds `refresh` may take `record`, never the other way round.
 */
import { Context, Duration, Effect, Layer, MutableHashMap, Option, Semaphore } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import { LockBusy, type StoreUnavailable } from "../domain/Errors.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

/** What the holder does. */
export type Purpose = "refresh" | "record"

/** Runs work on an account while nobody else does the like. */
export class AccountLock extends Context.Service<
  AccountLock,
  {
    /** Waits for a bounded time. The work has not begun if this fails with {@link LockBusy}. */
    readonly withLock: (
      account: AccountKey,
      purpose: Purpose,
    ) => <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LockBusy | StoreUnavailable, R>
    /** Removes what the locks of a forgotten account leave behind. For the holder of `record`, as its last act. */
    readonly forget: (account: AccountKey) => Effect.Effect<void>
    /** Whether somebody holds the lock at the moment. */
    readonly isHeld: (account: AccountKey, purpose: Purpose) => Effect.Effect<boolean>
  }
>()("tokenkeep/broker/AccountLock") {
  /** Keeps the fibers of this process apart. */
  static readonly layerMemory = Layer.effect(
    this,
    Effect.gen(function* () {
      const { lockPatience } = yield* BrokerConfig
      interface Entry {
        readonly semaphore: Semaphore.Semaphore
        users: number
      }
      const locks = {
        refresh: MutableHashMap.empty<AccountKey, Entry>(),
        record: MutableHashMap.empty<AccountKey, Entry>(),
      }

      const enter = (account: AccountKey, purpose: Purpose) =>
        Effect.sync(() => {
          const entry = Option.getOrElse(MutableHashMap.get(locks[purpose], account), () => ({
            semaphore: Semaphore.makeUnsafe(1),
            users: 0,
          }))
          entry.users++
          MutableHashMap.set(locks[purpose], account, entry)
          return entry
        })

      const leave = (account: AccountKey, purpose: Purpose, entry: Entry) =>
        Effect.sync(() => {
          entry.users--
          if (entry.users === 0) MutableHashMap.remove(locks[purpose], account)
        })

      return AccountLock.of({
        withLock: (account, purpose) => (work) =>
          Effect.acquireUseRelease(
            enter(account, purpose),
            ({ semaphore }) => {
              let begun = false
              const begin = Effect.sync(() => {
                begun = true
              })
              const patience = Effect.suspend(() =>
                begun ? Effect.never : Effect.fail(LockBusy.make({ account, retryAfter: busyFor })),
              ).pipe(Effect.delay(lockPatience))
              return Effect.raceFirst(semaphore.withPermit(Effect.andThen(begin, work)), patience)
            },
            (entry) => leave(account, purpose, entry),
          ),
        forget: () => Effect.void,
        isHeld: (account, purpose) => Effect.sync(() => MutableHashMap.has(locks[purpose], account)),
      })
    }),
  )
}

/** When it is worth asking again for a lock that was busy. */
export const busyFor = Duration.seconds(1)
