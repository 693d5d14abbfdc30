/**
 * Where the accounts' records live: one per account. That there is none, that it cannot be read and that it is damaged
 * are three different answers, because only the first means that nobody has logged in.
 */
import { Context, Effect, Layer, MutableHashMap, type Option, PubSub, type Scope } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"
import type { StoreCorrupt, StoreNewer, StoreUnavailable } from "../domain/Errors.ts"

/** What can go wrong in a store. */
export type StoreError = StoreCorrupt | StoreNewer | StoreUnavailable

/** Keeps one record per account. */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    /** The record, or none if nobody is logged in. */
    readonly get: (account: AccountKey) => Effect.Effect<Option.Option<AccountRecord>, StoreError>
    /**
     * The record, if it is known without waiting that it is still the one there: it was got before, for this very object.
     */
    readonly glance: (account: AccountKey) => Option.Option<AccountRecord>
    /** Fails as `set` would over what is there now: a newer version's record can be read, and is not ours to replace. */
    readonly replaceable: (account: AccountKey) => Effect.Effect<void, StoreError>
    /** Replaces the record. When this returns it is durable. */
    readonly set: (account: AccountKey, record: AccountRecord) => Effect.Effect<void, StoreError>
    /** Forgets the record. It is fine if there is none. */
    readonly remove: (account: AccountKey) => Effect.Effect<void, StoreError>
    /**
     * The records that processes were writing when they died, whole but not in place. Nobody may be writing meanwhile, so
     * ask while holding the account's `record` lock.
     */
    readonly interrupted: (account: AccountKey) => Effect.Effect<ReadonlyArray<AccountRecord>, StoreError>
    /** The accounts that have a record, damaged ones included. */
    readonly list: Effect.Effect<ReadonlyArray<AccountKey>, StoreError>
    /**
     * The accounts that were set or removed since this was asked for: here at once, by other processes in time. One that
     * did not change may be among them.
     */
    readonly changes: Effect.Effect<PubSub.Subscription<AccountKey>, never, Scope.Scope>
  }
>()("tokenkeep/broker/TokenStore") {
  /** Keeps records in this process only, for tests and for programs that want nothing on disk. */
  static readonly layerMemory: Layer.Layer<TokenStore> = Layer.effect(
    this,
    Effect.gen(function* () {
      const records = MutableHashMap.empty<AccountKey, AccountRecord>()
      const changed = yield* PubSub.unbounded<AccountKey>()
      return TokenStore.of({
        get: (account) => Effect.sync(() => MutableHashMap.get(records, account)),
        glance: (account) => MutableHashMap.get(records, account),
        replaceable: () => Effect.void,
        set: (account, record) =>
          Effect.sync(() => {
            MutableHashMap.set(records, account, record)
            PubSub.publishUnsafe(changed, account)
          }),
        remove: (account) =>
          Effect.sync(() => {
            MutableHashMap.remove(records, account)
            PubSub.publishUnsafe(changed, account)
          }),
        interrupted: () => Effect.succeed([]),
        list: Effect.sync(() => [...MutableHashMap.keys(records)]),
        changes: PubSub.subscribe(changed),
      })
    }),
  )
}
