/**
 * What a provider's failure means for a refresh: what is written down, how long nobody tries again, and what the asker is
 * told. Only the provider's own "log in again" asks for a login.
 */
import { Duration, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { Outcome } from "../domain/AccountRecord.ts"
import { ReauthRequired, RefreshFailed, RefreshRateLimited } from "../domain/Errors.ts"
import { type ProviderFailure, type Reason, remedyFor } from "../oauth/ProviderFailure.ts"

/** What is written down of a failure that was an answer. */
export const outcomes = {
  ReloginNeeded: "reauth_required",
  NotEntitled: "not_entitled",
  RateLimited: "rate_limited",
  Transient: "transient",
  EndpointMoved: "endpoint_moved",
  Misconfigured: "misconfigured",
} as const satisfies { readonly [tag in Reason["_tag"]]: Outcome }

/** Providers that limit how often they are asked mostly do so by the minute. */
const unstatedRetryAfter = Duration.minutes(1)

/** However often refreshing has failed, it may be tried again after this. */
const longestWait = Duration.minutes(5)

/** How long nobody tries: `first`, doubled with each failure in a row, or as the provider says if that is longer. */
export const waitAfter = (reason: Reason, failures: number, first: Duration.Duration): Duration.Duration => {
  if (reason._tag === "ReloginNeeded") return Duration.zero
  // What a person has to mend does not get better by waiting, and may be mended at any time.
  if (reason._tag !== "Transient" && reason._tag !== "RateLimited") return first
  const wait = Duration.min(Duration.times(first, 2 ** Math.min(failures - 1, 16)), longestWait)
  if (reason._tag !== "RateLimited") return wait
  // A provider that limits and says 0 seconds does not mean to be asked without end.
  return Duration.max(
    wait,
    Option.getOrElse(reason.retryAfter, () => unstatedRetryAfter),
  )
}

/** What the asker is told. */
export const errorFor = (account: AccountKey, failure: ProviderFailure, isLost: boolean, wait: Duration.Duration) => {
  const { reason } = failure
  if (reason._tag === "ReloginNeeded") return ReauthRequired.make({ account })
  if (reason._tag === "RateLimited") return RefreshRateLimited.make({ account, retryAfter: wait })
  const then = isLost
    ? "If it acted on the request, its answer is lost and a new login will be needed; try again later."
    : "The login is kept; try again later."
  return RefreshFailed.make({ account, detail: `${failure.message} ${then}`, remedy: remedyFor(reason) })
}
