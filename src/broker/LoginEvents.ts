/**
 * One attempt to log in, as events tell it: that it begins, and once how it ends, whoever ends it.
 */
import { Cause, type Clock, DateTime, Effect, Exit, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { LoginFailure } from "../domain/AuthEvent.ts"
import type { FlowType } from "../domain/Session.ts"
import type { PublicToken } from "../domain/Token.ts"
import type { PortsTaken } from "../oauth/LoopbackListener.ts"
import type { ProviderFailure, Reason } from "../oauth/ProviderFailure.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { type Hub, stopwatch } from "./AuthEvents.ts"
import type { WaitFailure } from "./LoginInProgress.ts"

/** How an attempt can fail. */
type Failure = WaitFailure | PortsTaken

export interface LoginAttempt {
  /** Tells how it ended, unless that was told before. One that was interrupted is left to who closes its scope. */
  readonly ended: (exit: Exit.Exit<PublicToken, Failure>) => Effect.Effect<void>
  /** From now on its life is known: if it ends after that and nothing was told, it has expired. */
  readonly livesUntil: (expiresAt: DateTime.Utc) => void
}

const reasons = {
  ReloginNeeded: "refused",
  NotEntitled: "not_entitled",
  RateLimited: "rate_limited",
  Transient: "transient",
  EndpointMoved: "endpoint_moved",
  Misconfigured: "misconfigured",
} as const satisfies { readonly [tag in Reason["_tag"]]: LoginFailure }

const words = {
  GrantDenied: "denied",
  GrantExpired: "expired",
  CallbackRejected: "not_an_answer",
  PortsTaken: "port_taken",
  StoreCorrupt: "not_stored",
  StoreNewer: "not_stored",
  StoreUnavailable: "not_stored",
  LockBusy: "not_stored",
} as const satisfies { readonly [tag in Exclude<Failure, ProviderFailure>["_tag"]]: LoginFailure }

const reasonOf = (failure: Failure): LoginFailure =>
  failure._tag === "ProviderFailure" ? reasons[failure.reason._tag] : words[failure._tag]

/** Begins an attempt, which ends no later than the scope. */
export const begin = Effect.fnUntraced(function* (
  events: Hub,
  clock: Clock.Clock,
  account: AccountKey,
  flow: FlowType,
) {
  const took = stopwatch(clock)
  let isOver = false
  let expiresAt = Option.none<DateTime.Utc>()

  const failed = (reason: LoginFailure) => {
    if (isOver) return
    isOver = true
    events.publish({ _tag: "login_failed", account, flow, durationMs: took(), reason })
  }

  const attempt: LoginAttempt = {
    livesUntil: (instant) => {
      expiresAt = Option.some(instant)
    },
    ended: Exit.match({
      onSuccess: (token) =>
        Effect.sync(() => {
          if (isOver) return
          isOver = true
          const fingerprint = fingerprintOf(token.accessToken)
          events.publish({ _tag: "login_completed", account, flow, durationMs: took(), fingerprint })
        }),
      onFailure: (cause) =>
        Effect.sync(() => {
          const failure = Cause.findErrorOption(cause)
          if (Option.isSome(failure)) failed(reasonOf(failure.value))
          else if (!Cause.hasInterruptsOnly(cause)) failed("internal")
        }),
    }),
  }

  events.publish({ _tag: "login_started", account, flow })
  yield* Effect.addFinalizer(() =>
    Effect.map(DateTime.now, (now) =>
      failed(Option.exists(expiresAt, DateTime.isLessThanOrEqualTo(now)) ? "expired" : "cancelled"),
    ),
  )
  return attempt
})
