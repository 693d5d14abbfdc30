/**
 * Trades refresh tokens for new access tokens: at most one trade per account at a time, saved before it is answered.
 *
 * A trade belongs to this service, not to whoever asked first: a single-use refresh token may already be spent when the
 * asker goes away, so the answer must still be read and kept.
 */
import {
  Clock,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Equal,
  Layer,
  MutableHashMap,
  Option,
  type Redacted,
} from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import {
  ProviderNotFound,
  RateLimited,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  type SecretUnavailable,
  TokenNotFound,
} from "../domain/Errors.ts"
import { isFresh, mergeRefreshed, type RefreshedToken, type StoredToken } from "../domain/Token.ts"
import { OAuthClient } from "../oauth/OAuthClient.ts"
import type { ProviderFailure } from "../oauth/ProviderFailure.ts"
import { AccountLock } from "./AccountLock.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { type ConfigError, Providers } from "./Providers.ts"
import { type StoreError, TokenStore } from "./TokenStore.ts"

/** Why there is no refreshed token. The login itself is kept in every case. */
export type RefreshError =
  | TokenNotFound
  | RefreshNotAvailable
  | ReauthRequired
  | RefreshFailed
  | RateLimited
  | ProviderNotFound
  | SecretUnavailable
  | ConfigError
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
      const { refreshCooldown, refreshRetryDelay } = yield* BrokerConfig
      const store = yield* TokenStore
      const lock = yield* AccountLock
      const providers = yield* Providers
      const client = yield* OAuthClient
      const scope = yield* Effect.scope

      const inFlight = MutableHashMap.empty<AccountKey, Deferred.Deferred<StoredToken, RefreshError>>()
      /** When each account may be refreshed again, in monotonic nanoseconds: a stepped clock must not open the gate. */
      const notBefore = MutableHashMap.empty<AccountKey, bigint>()

      /** What the last trade of a refresh token failed with: the same token is not tried again at once, or at all. */
      const failed = MutableHashMap.empty<AccountKey, Failed>()

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

      const waitFor = (account: AccountKey, wait: Duration.Duration) =>
        Effect.map(Clock.monotonicTimeNanos, (now) => {
          MutableHashMap.set(notBefore, account, now + Option.getOrElse(Duration.toNanos(wait), () => 0n))
        })

      const startCooldown = Effect.fnUntraced(function* (account: AccountKey, token: StoredToken) {
        const now = yield* DateTime.now
        const life = token.expiresAt === undefined ? Duration.infinity : DateTime.distance(now, token.expiresAt)
        yield* waitFor(account, Duration.max(Duration.zero, Duration.min(refreshCooldown, Duration.times(life, 0.5))))
      })

      const rememberFailure = Effect.fnUntraced(function* (
        account: AccountKey,
        refreshToken: StoredToken["refreshToken"],
        refusal: Refusal,
      ) {
        if (refusal._tag === "RateLimited") return yield* waitFor(account, refusal.retryAfter)
        const now = yield* Clock.monotonicTimeNanos
        const until = now + Option.getOrElse(Duration.toNanos(refreshRetryDelay), () => 0n)
        MutableHashMap.set(failed, account, { refreshToken, refusal, until })
      })

      const checkFailed = Effect.fnUntraced(function* (account: AccountKey, refreshToken: Redacted.Redacted) {
        const now = yield* Clock.monotonicTimeNanos
        const last = Option.getOrUndefined(MutableHashMap.get(failed, account))
        if (last === undefined) return
        const isSame = Equal.equals(last.refreshToken, refreshToken)
        if (isSame && (last.refusal._tag === "ReauthRequired" || now < last.until)) return yield* last.refusal
        MutableHashMap.remove(failed, account)
      })

      /** Keeps what a trade brought, unless the login it belongs to was replaced or removed meanwhile. */
      const keep = Effect.fnUntraced(function* (account: AccountKey, traded: StoredToken, refreshed: RefreshedToken) {
        const current = yield* read(account)
        if (!Equal.equals(current.refreshToken, traded.refreshToken)) return current
        const merged = mergeRefreshed(current, refreshed)
        yield* store.set(account, merged)
        yield* startCooldown(account, merged)
        return merged
      })

      const trade = Effect.fn("Refresher.trade")(function* (account: AccountKey) {
        const stored = yield* read(account)
        const wait = yield* cooldown(account)
        if (Duration.isGreaterThan(wait, Duration.zero)) {
          if (isFresh(stored, yield* DateTime.now)) return stored
          return yield* RateLimited.make({ retryAfter: wait })
        }
        if (stored.refreshToken === undefined) return yield* RefreshNotAvailable.make({ account })
        yield* checkFailed(account, stored.refreshToken)
        const provider = yield* providers
          .get(account.provider)
          .pipe(Effect.catchTag("ProviderNotConfigured", () => ProviderNotFound.make({ provider: account.provider })))
        const refreshed = yield* client.refresh(provider, stored.refreshToken).pipe(
          Effect.catchTag("ProviderFailure", (failure) => Effect.fail(refusal(account, failure))),
          Effect.tapError((refusal) => rememberFailure(account, stored.refreshToken, refusal)),
        )
        return yield* lock.withLock(account)(keep(account, stored, refreshed))
      })

      return Refresher.of({
        refresh: (account) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              const running = MutableHashMap.get(inFlight, account)
              if (Option.isSome(running)) return yield* restore(Deferred.await(running.value))
              const result = Deferred.makeUnsafe<StoredToken, RefreshError>()
              MutableHashMap.set(inFlight, account, result)
              // Once the refresh token may be spent, only its answer matters, also when the program is told to end.
              const fiber = yield* trade(account).pipe(Effect.uninterruptible, Effect.forkIn(scope))
              fiber.addObserver((exit) => {
                MutableHashMap.remove(inFlight, account)
                Deferred.doneUnsafe(result, exit)
              })
              return yield* restore(Deferred.await(result))
            }),
          ),
      })
    }),
  )
}

type Refusal = ReauthRequired | RateLimited | RefreshFailed

interface Failed {
  readonly refreshToken: StoredToken["refreshToken"]
  readonly refusal: Refusal
  /** Monotonic nanoseconds. */
  readonly until: bigint
}

/** A provider's refusal in the words of the broker. Only the provider's own "log in again" asks for a login. */
const refusal = (account: AccountKey, failure: ProviderFailure): Refusal => {
  const { reason } = failure
  if (reason._tag === "ReloginNeeded") return ReauthRequired.make({ account })
  if (reason._tag === "RateLimited") {
    return RateLimited.make({ retryAfter: Option.getOrElse(reason.retryAfter, () => Duration.seconds(60)) })
  }
  return RefreshFailed.make({ account, detail: `${failure.message} The login is kept; try again later.` })
}
