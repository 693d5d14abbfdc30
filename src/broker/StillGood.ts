/**
 * What cannot be refreshed is still good until its last second.
 */
import { DateTime, Effect } from "effect"
import { isFresh } from "../domain/Token.ts"

/** The ways in which a token is not refreshed, while the one that is there may still be good. */
const unrefreshed = [
  "RefreshFailed",
  "RateLimited",
  "ReauthRequired",
  "RefreshNotAvailable",
  "ProviderNotFound",
] as const

/** Falls back on `token` when refreshing it does not work, for as long as it is valid. */
export const orStillGood =
  <A extends { readonly expiresAt?: DateTime.Utc }>(token: A) =>
  <E extends { readonly _tag: string }, R>(refresh: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.catchIf(
      refresh,
      (failure) => unrefreshed.some((tag) => tag === failure._tag),
      (failure) =>
        Effect.flatMap(DateTime.now, (now) => (isFresh(token, now) ? Effect.succeed(token) : Effect.fail(failure))),
    )
