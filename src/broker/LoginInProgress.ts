/**
 * What an open session holds: how its login can be brought to an end, and nothing that was only needed to begin it.
 */
import type { Deferred, Duration, Effect, Exit, Redacted } from "effect"
import type { LockBusy } from "../domain/Errors.ts"
import type { PublicToken, StoredToken } from "../domain/Token.ts"
import type { CallbackRejected, GrantDenied, GrantExpired } from "../oauth/GrantFailure.ts"
import type { Granter } from "../domain/AccountRecord.ts"
import type { ProviderFailure } from "../oauth/ProviderFailure.ts"
import type { StoreError } from "./TokenStore.ts"

/** A person brings the code. */
export interface ByPaste {
  readonly _tag: "pkce_redirect"
  readonly granter: Granter
  readonly redeem: (
    pasted: Redacted.Redacted,
  ) => Effect.Effect<StoredToken, CallbackRejected | GrantDenied | ProviderFailure>
  /** Takes note of how it ended. */
  readonly ended: (exit: Exit.Exit<PublicToken, WaitFailure>) => Effect.Effect<void>
}

/** How waiting for a grant can end without one. */
export type WaitFailure = CallbackRejected | GrantDenied | GrantExpired | ProviderFailure | StoreError | LockBusy

/** The host waits for the grant by itself, in the session's scope. */
export interface ByWaiting {
  readonly _tag: "device_code" | "browser_redirect"
  /** Done once the token is stored, or when there will be none. */
  readonly outcome: Deferred.Deferred<PublicToken, WaitFailure>
  /** How long to wait before it is worth asking again. */
  readonly interval: Effect.Effect<Duration.Duration>
  /** Returns when nothing decisive is under way. */
  readonly idle: Effect.Effect<void>
}

export type LoginInProgress = ByPaste | ByWaiting
