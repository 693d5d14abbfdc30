/**
 * What cannot be refreshed is still good until its last second.
 */
import { DateTime, Effect } from "effect"
import { isFresh } from "../domain/Token.ts"

/** Falls back on `token` when refreshing it does not work, for as long as it is valid. */
export const orStillGood =
  <A extends { readonly expiresAt?: DateTime.Utc }>(token: A) =>
  <E extends { readonly _tag: string; readonly message: string }, R>(
    refresh: Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E, R> =>
    Effect.catchIf(
      refresh,
      // Whoever logged out does not want the token used any more.
      (failure) => failure._tag !== "TokenNotFound",
      Effect.fnUntraced(function* (failure: E): Effect.fn.Return<A, E> {
        if (!isFresh(token, yield* DateTime.now)) return yield* Effect.fail(failure)
        yield* Effect.logWarning(`A token that is still good is handed out as it is. ${failure.message}`)
        return token
      }),
    )
