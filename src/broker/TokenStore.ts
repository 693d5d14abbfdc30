/**
 * Where stored tokens live: one per account. That there is none, that it cannot be read and that it is damaged are
 * three different answers, because only the first means that nobody has logged in.
 */
import { Context, Effect, Layer, MutableHashMap, type Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { StoreCorrupt, StoreUnavailable } from "../domain/Errors.ts"
import type { StoredToken } from "../domain/Token.ts"

/** What can go wrong in a store. */
export type StoreError = StoreCorrupt | StoreUnavailable

/** Keeps one stored token per account. */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    /** The token, or none if nobody is logged in. */
    readonly get: (account: AccountKey) => Effect.Effect<Option.Option<StoredToken>, StoreError>
    /** Replaces the token. When this returns it is durable. */
    readonly set: (account: AccountKey, token: StoredToken) => Effect.Effect<void, StoreError>
    /** Forgets the token. It is fine if there is none. */
    readonly remove: (account: AccountKey) => Effect.Effect<void, StoreError>
    /** The accounts that have a token, damaged ones included. */
    readonly list: Effect.Effect<ReadonlyArray<AccountKey>, StoreError>
  }
>()("tokenkeep/broker/TokenStore") {
  /** Keeps tokens in this process only, for tests and for programs that want nothing on disk. */
  static readonly layerMemory: Layer.Layer<TokenStore> = Layer.sync(this, () => {
    const tokens = MutableHashMap.empty<AccountKey, StoredToken>()
    return TokenStore.of({
      get: (account) => Effect.sync(() => MutableHashMap.get(tokens, account)),
      set: (account, token) => Effect.sync(() => MutableHashMap.set(tokens, account, token)),
      remove: (account) => Effect.sync(() => MutableHashMap.remove(tokens, account)),
      list: Effect.sync(() => [...MutableHashMap.keys(tokens)]),
    })
  })
}
