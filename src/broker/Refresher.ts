/**
 * Trades refresh tokens for new access tokens: at most one trade per account at a time, saved before it is answered.
 *
 * A trade belongs to this service, not to whoever asked first: a single-use refresh token may already be spent when the
 * asker goes away, so the answer must still be read and kept.
 */
import { Clock, Context, DateTime, Deferred, Duration, Effect, Layer, MutableHashMap, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import {
  ProviderNotFound,
  RateLimited,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  TokenNotFound,
} from "../domain/Errors.ts"
import { isFresh, mergeRefreshed, type StoredToken } from "../domain/Token.ts"
import { OAuthClient } from "../oauth/OAuthClient.ts"
import type { ProviderFailure } from "../oauth/ProviderFailure.ts"
import { AccountLock } from "./AccountLock.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { Providers } from "./Providers.ts"
import { type StoreError, TokenStore } from "./TokenStore.ts"

/** Why there is no refreshed token. The login itself is kept in every case. */
export type RefreshError =
  | TokenNotFound
  | RefreshNotAvailable
  | ReauthRequired
  | RefreshFailed
  | RateLimited
  | ProviderNotFound
  | StoreError

/** Refreshes accounts. */
export class Refresher extends Context.Service<
  Refresher,
  {
    /**
     * A refreshed token. Joins the refresh that is under way, if one is. Soon after a refresh there is no other: a token
     * that is still valid is returned as it is.
     */
    readonly refresh: (account: AccountKey) => Effect.Effect<StoredToken, RefreshError>
  }
>()("tokenkeep/broker/Refresher") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { refreshCooldown } = yield* BrokerConfig
      const store = yield* TokenStore
      const lock = yield* AccountLock
      const providers = yield* Providers
      const client = yield* OAuthClient
      const scope = yield* Effect.scope

      const inFlight = MutableHashMap.empty<AccountKey, Deferred.Deferred<StoredToken, RefreshError>>()
      /** When each account may be refreshed again, in monotonic nanoseconds: a stepped clock must not open the gate. */
      const notBefore = MutableHashMap.empty<AccountKey, bigint>()

      const read = Effect.fnUntraced(function* (account: AccountKey) {
        const token = yield* store.get(account)
        return Option.isSome(token) ? token.value : yield* TokenNotFound.make({ account })
      })

      /** The time until another refresh is allowed. */
      const cooldown = Effect.fnUntraced(function* (account: AccountKey) {
        const now = yield* Clock.monotonicTimeNanos
        const until = Option.getOrElse(MutableHashMap.get(notBefore, account), () => now)
        return until > now ? Duration.nanos(until - now) : Duration.zero
      })

      const startCooldown = Effect.fnUntraced(function* (account: AccountKey, token: StoredToken) {
        const now = yield* DateTime.now
        const life = token.expiresAt === undefined ? Duration.infinity : DateTime.distance(now, token.expiresAt)
        const wait = Duration.max(Duration.zero, Duration.min(refreshCooldown, Duration.times(life, 0.5)))
        const from = yield* Clock.monotonicTimeNanos
        MutableHashMap.set(notBefore, account, from + Option.getOrElse(Duration.toNanos(wait), () => 0n))
      })

      const trade = Effect.fn("Refresher.trade")(function* (account: AccountKey) {
        const stored = yield* read(account)
        const wait = yield* cooldown(account)
        if (Duration.isGreaterThan(wait, Duration.zero)) {
          if (isFresh(stored, yield* DateTime.now)) return stored
          return yield* RateLimited.make({ retryAfter: wait })
        }
        if (stored.refreshToken === undefined) return yield* RefreshNotAvailable.make({ account })
        const provider = yield* providers
          .get(account.provider)
          .pipe(Effect.catchTag("ProviderNotConfigured", () => ProviderNotFound.make({ provider: account.provider })))
        const refreshed = yield* client
          .refresh(provider, stored.refreshToken)
          .pipe(Effect.catchTag("ProviderFailure", (failure) => Effect.fail(refusal(account, failure))))
        const merged = mergeRefreshed(stored, refreshed)
        yield* store.set(account, merged)
        yield* startCooldown(account, merged)
        return merged
      })

      return Refresher.of({
        refresh: (account) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              const running = MutableHashMap.get(inFlight, account)
              if (Option.isSome(running)) return yield* restore(Deferred.await(running.value))
              const result = Deferred.makeUnsafe<StoredToken, RefreshError>()
              MutableHashMap.set(inFlight, account, result)
              yield* trade(account).pipe(
                lock.withLock(account),
                Effect.onExit((exit) =>
                  Effect.suspend(() => {
                    MutableHashMap.remove(inFlight, account)
                    return Deferred.done(result, exit)
                  }),
                ),
                Effect.forkIn(scope),
              )
              return yield* restore(Deferred.await(result))
            }),
          ),
      })
    }),
  )
}

/** A provider's refusal in the words of the broker. Only the provider's own "log in again" asks for a login. */
const refusal = (account: AccountKey, failure: ProviderFailure): ReauthRequired | RateLimited | RefreshFailed => {
  const { reason } = failure
  if (reason._tag === "ReloginNeeded") return ReauthRequired.make({ account })
  if (reason._tag === "RateLimited") {
    return RateLimited.make({ retryAfter: Option.getOrElse(reason.retryAfter, () => Duration.seconds(60)) })
  }
  return RefreshFailed.make({ account, detail: `${failure.message} The login is kept; try again later.` })
}
