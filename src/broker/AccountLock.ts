/**
 * One at a time per account: whoever reads a token in order to replace it does so alone.
 */
import { Context, Effect, Layer, MutableHashMap, Option, Semaphore } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"

/** Runs work on an account while nobody else does. */
export class AccountLock extends Context.Service<
  AccountLock,
  {
    readonly withLock: (account: AccountKey) => <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("tokenkeep/broker/AccountLock") {
  /** Keeps the fibers of this process apart. */
  static readonly layerMemory: Layer.Layer<AccountLock> = Layer.sync(this, () => {
    interface Entry {
      readonly semaphore: Semaphore.Semaphore
      users: number
    }
    const entries = MutableHashMap.empty<AccountKey, Entry>()

    const enter = (account: AccountKey) =>
      Effect.sync(() => {
        const entry = Option.getOrElse(MutableHashMap.get(entries, account), () => ({
          semaphore: Semaphore.makeUnsafe(1),
          users: 0,
        }))
        entry.users++
        MutableHashMap.set(entries, account, entry)
        return entry
      })

    const leave = (account: AccountKey, entry: Entry) =>
      Effect.sync(() => {
        entry.users--
        if (entry.users === 0) MutableHashMap.remove(entries, account)
      })

    return AccountLock.of({
      withLock: (account) => (work) =>
        Effect.acquireUseRelease(
          enter(account),
          (entry) => entry.semaphore.withPermit(work),
          (entry) => leave(account, entry),
        ),
    })
  })
}
