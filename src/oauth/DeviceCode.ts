/**
 * The device flow (RFC 8628): show a code, and ask the provider until the person has entered it elsewhere.
 */
import { Cause, Clock, Duration, Effect, Option, Ref, Schedule } from "effect"
import type { Granter } from "../domain/AccountRecord.ts"
import type { AuthorizationPending, SlowDown } from "../domain/Errors.ts"
import type { StoredToken } from "../domain/Token.ts"
import { type Activity, makeActivity } from "./Activity.ts"
import { type GrantDenied, GrantExpired } from "./GrantFailure.ts"
import { OAuthClient } from "./OAuthClient.ts"
import type { Provider } from "./Provider.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/** A device login, begun. */
export interface DeviceLogin {
  readonly _tag: "device_code"
  readonly granter: Granter
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: Option.Option<string>
  readonly expiresIn: Duration.Duration
  /** The least time between two polls now; `slow_down` raises it. */
  readonly interval: Effect.Effect<Duration.Duration>
  readonly activity: Activity
  /** Polls until access is granted, denied, or the code is past its life. */
  readonly granted: Effect.Effect<StoredToken, GrantDenied | GrantExpired | ProviderFailure>
}

/** RFC 8628 section 3.5: `slow_down` means that "the interval MUST be increased by 5 seconds for this and all subsequent requests". */
const slowDownBy = Duration.seconds(5)

/** A provider in trouble is asked no less often than this, so that a login ends soon after the trouble does. */
const longestBackOff = Duration.minutes(1)

/** How one poll can fail. */
type PollError = AuthorizationPending | SlowDown | GrantDenied | GrantExpired | ProviderFailure

/** What asks for another poll: the person is not done, or the provider has passing trouble. */
const isNotYet = (error: PollError): error is AuthorizationPending | SlowDown | ProviderFailure =>
  error._tag === "AuthorizationPending" ||
  error._tag === "SlowDown" ||
  (error._tag === "ProviderFailure" && (error.reason._tag === "Transient" || error.reason._tag === "RateLimited"))

const retryAfter = (error: PollError): Duration.Duration =>
  error._tag === "ProviderFailure" && error.reason._tag === "RateLimited"
    ? Option.getOrElse(error.reason.retryAfter, () => Duration.zero)
    : Duration.zero

/**
 * The next poll comes after the interval. After trouble RFC 8628 section 3.5 recommends to double it each time. There
 * is none once the code would be past its life.
 */
const pollSchedule = (interval: Ref.Ref<Duration.Duration>, expiresAt: number) =>
  Schedule.fromStepWithMetadata(
    Effect.sync(() => {
      let troubles = 0
      return Effect.fnUntraced(function* ({
        input,
        now,
      }: Schedule.InputMetadata<PollError>): Effect.fn.Return<[number, Duration.Duration], Cause.Done<number>> {
        if (!isNotYet(input)) return yield* Cause.done(troubles)
        if (input._tag === "SlowDown") {
          const { interval: asked = Duration.zero } = input
          yield* Ref.update(interval, (known) => Duration.max(Duration.sum(known, slowDownBy), asked))
        }
        troubles = input._tag === "ProviderFailure" ? troubles + 1 : 0
        const current = yield* Ref.get(interval)
        const patient = Duration.max(current, Duration.min(Duration.times(current, 2 ** troubles), longestBackOff))
        const delay = Duration.max(patient, retryAfter(input))
        if (now + Duration.toMillis(delay) >= expiresAt) return yield* Cause.done(troubles)
        return [troubles, delay]
      })
    }),
  )

/** Polls at the provider's pace: first after one interval, and never once the code is past its life. */
export const pollUntilGranted = Effect.fnUntraced(function* <A>(
  poll: Effect.Effect<A, PollError>,
  interval: Ref.Ref<Duration.Duration>,
  expiresIn: Duration.Duration,
) {
  const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(expiresIn)
  const first = yield* Ref.get(interval)
  if (Duration.isGreaterThanOrEqualTo(first, expiresIn)) return yield* new GrantExpired()
  yield* Effect.sleep(first)
  return yield* poll.pipe(
    Effect.retry(pollSchedule(interval, expiresAt)),
    Effect.catchIf(isNotYet, () => Effect.fail(new GrantExpired())),
  )
})

/** Begins a device login, which lives no longer than `lifetime`. */
export const begin = Effect.fn("DeviceCode.begin")(function* (provider: Provider, lifetime: Duration.Duration) {
  const client = yield* OAuthClient
  const grant = yield* client.beginDevice(provider)
  const interval = yield* Ref.make(grant.interval)
  const activity = yield* makeActivity
  const expiresIn = Duration.min(grant.expiresIn, lifetime)
  const login: DeviceLogin = {
    _tag: "device_code",
    granter: grant.granter,
    userCode: grant.userCode,
    verificationUri: grant.verificationUri,
    verificationUriComplete: grant.verificationUriComplete,
    expiresIn,
    interval: Ref.get(interval),
    activity,
    granted: pollUntilGranted(activity.during(grant.poll), interval, expiresIn),
  }
  return login
})
