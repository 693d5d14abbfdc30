/**
 * A request for a token, as events tell it: that somebody asks, how it was answered, and what was handed out.
 */
import { Cause, type Clock, Effect, Exit, Option } from "effect"
import { type AccountKey, nobody } from "../domain/AccountKey.ts"
import type { TokenOutcome } from "../domain/AuthEvent.ts"
import type { PublicToken } from "../domain/Token.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { type Hub, stopwatch } from "./AuthEvents.ts"
import type { CallError, TokenError } from "./Broker.ts"

type Failure = TokenError | CallError

const words = {
  TokenNotFound: "not_logged_in",
  RefreshNotAvailable: "not_refreshable",
  ReauthRequired: "reauth_required",
  RefreshFailed: "refresh_failed",
  RefreshRateLimited: "rate_limited",
  RateLimited: "rate_limited",
  LockBusy: "busy",
  ProviderNotFound: "provider_unknown",
  StoreCorrupt: "host_trouble",
  StoreNewer: "host_trouble",
  StoreUnavailable: "host_trouble",
  ConfigCorrupt: "host_trouble",
  SecretUnavailable: "host_trouble",
  HostFailure: "host_trouble",
  HostUnreachable: "host_trouble",
  InvalidRequest: "internal",
  Unauthorized: "internal",
  Forbidden: "internal",
} as const satisfies { readonly [tag in Failure["_tag"]]: TokenOutcome }

const outcomeOf = (cause: Cause.Cause<Failure>): TokenOutcome =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => (Cause.hasInterruptsOnly(cause) ? "cancelled" : "internal"),
    onSome: ({ _tag }) => words[_tag],
  })

/** Tells of a request, if anybody wants to know. */
export const told =
  (events: Hub, clock: Clock.Clock, operation: "get_token" | "refresh_token") =>
  <E extends Failure, R>(
    request: Effect.Effect<PublicToken, E, R>,
    account: AccountKey,
  ): Effect.Effect<PublicToken, E, R> =>
    Effect.suspend(() => {
      if (!events.hearsTokens || account === nobody) return request
      const took = stopwatch(clock)
      events.publish({ _tag: "token_requested", account, operation })
      return Effect.onExit(request, (exit) =>
        Effect.sync(() => {
          const durationMs = took()
          const outcome = Exit.match(exit, { onFailure: outcomeOf, onSuccess: () => "ok" as const })
          events.publish({ _tag: "token_response", account, durationMs, outcome })
          if (Exit.isSuccess(exit)) {
            events.publish({
              _tag: "token_served",
              account,
              from: "broker",
              fingerprint: fingerprintOf(exit.value.accessToken),
            })
          }
        }),
      )
    })
