/**
 * A refresh, as events tell it: that it begins, and how it ended, however many attempts it took and whoever waits for it.
 */
import { Cause, type Clock, Duration, Effect, Exit, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { RefreshFailure } from "../domain/AuthEvent.ts"
import type { LockBusy, StoreCorrupt, StoreNewer, StoreUnavailable, TokenNotFound } from "../domain/Errors.ts"
import type { StoredToken } from "../domain/Token.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { type Hub, stopwatch } from "./AuthEvents.ts"

/** The provider's refusal, or the store's, or that somebody was faster. */
type Failure =
  | { readonly _tag: "Failed"; readonly reason: RefreshFailure; readonly wait: Duration.Duration }
  | { readonly _tag: "Superseded" }
  | TokenNotFound
  | LockBusy
  | StoreCorrupt
  | StoreNewer
  | StoreUnavailable

const words = {
  Superseded: "superseded",
  TokenNotFound: "logged_out",
  LockBusy: "not_stored",
  StoreCorrupt: "not_stored",
  StoreNewer: "not_stored",
  StoreUnavailable: "not_stored",
} as const satisfies { readonly [tag in Exclude<Failure["_tag"], "Failed">]: RefreshFailure }

const reasonOf = (cause: Cause.Cause<Failure>): RefreshFailure =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => (Cause.hasInterruptsOnly(cause) ? "cancelled" : "internal"),
    onSome: (failure) => (failure._tag === "Failed" ? failure.reason : words[failure._tag]),
  })

const retryAfterOf = (cause: Cause.Cause<Failure>): number =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => 0,
    onSome: (failure) => (failure._tag === "Failed" ? Math.ceil(Duration.toMillis(failure.wait)) : 0),
  })

/** Tells of a refresh. */
export const told =
  (events: Hub, clock: Clock.Clock, account: AccountKey) =>
  <E extends Failure, R>(refresh: Effect.Effect<StoredToken, E, R>): Effect.Effect<StoredToken, E, R> =>
    Effect.suspend(() => {
      const took = stopwatch(clock)
      events.publish({ _tag: "refresh_started", account })
      return Effect.onExit(refresh, (exit) =>
        Effect.sync(() => {
          if (!events.isHeard) return
          const durationMs = took()
          if (Exit.isSuccess(exit)) {
            const fingerprint = fingerprintOf(exit.value.accessToken)
            return events.publish({ _tag: "refresh_succeeded", account, durationMs, fingerprint })
          }
          const reason = reasonOf(exit.cause)
          const retryAfterMs = retryAfterOf(exit.cause)
          events.publish({
            _tag: "refresh_failed",
            account,
            durationMs,
            reason,
            ...(retryAfterMs > 0 && { retryAfterMs }),
          })
          if (reason === "reauth_required") events.publish({ _tag: "reauth_required", account })
        }),
      )
    })
