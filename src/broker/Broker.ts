/**
 * The whole of tokenkeep as one service: log in, get tokens, keep them fresh, forget them.
 *
 * There are two of it: the one here, in the process that holds the refresh tokens, and the one of `client/`, which asks
 * a host over a socket. Calling code cannot tell them apart, so every method may also fail the way a socket can.
 */
import { Context, type Duration, type Effect, type Option, type Redacted } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { BucketStats } from "../domain/BucketUsage.ts"
import type {
  AccessDenied,
  ApiKeyNotFound,
  ExchangeFailed,
  FlowInitiationFailed,
  Forbidden,
  HostError,
  InvalidRequest,
  LockBusy,
  PeerMismatch,
  PollFailed,
  ProviderNotConfigured,
  ProviderNotFound,
  RateLimited,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  RefreshRateLimited,
  SessionError,
  TokenNotFound,
  Unauthorized,
} from "../domain/Errors.ts"
import type { Revocation } from "../domain/Revocation.ts"
import type { FlowType } from "../domain/Session.ts"
import type { PublicToken } from "../domain/Token.ts"

/** How any call can fail: the peer may not, asks too often or makes no sense, or the host has trouble of its own. */
export type CallError = Unauthorized | Forbidden | RateLimited | LockBusy | InvalidRequest | HostError

/** Why there is no access token. */
export type TokenError =
  | TokenNotFound
  | RefreshNotAvailable
  | ReauthRequired
  | RefreshFailed
  | RefreshRateLimited
  | ProviderNotFound

/** A login, begun: what a person has to do, and how to go on. */
export interface InitiatedLogin {
  readonly sessionId: string
  readonly flowType: FlowType
  /** What the person opens: the authorization page, or where a device code is entered. */
  readonly authUrl: string
  /** What the person types in there, for `device_code`. */
  readonly device: Option.Option<{
    readonly userCode: string
    readonly verificationUri: string
    readonly verificationUriComplete: Option.Option<string>
  }>
  /** How long to wait between two calls of `poll`. */
  readonly pollInterval: Duration.Duration
  /** What the person should know before. */
  readonly notice: Option.Option<string>
  /** How long the person has. */
  readonly expiresIn: Duration.Duration
}

/** How a login goes that the host is waiting for. */
export type LoginProgress =
  | { readonly status: "pending"; readonly interval: Duration.Duration }
  | { readonly status: "complete"; readonly token: PublicToken }

/** Logs in, hands out access tokens, keeps refresh tokens to itself. */
export class Broker extends Context.Service<
  Broker,
  {
    /**
     * Begins a login by the first of the provider's flows that can be begun, or by the named one. `redirectUri`, if given,
     * must be one that is registered for the provider.
     */
    readonly initiate: (
      account: AccountKey,
      options?: { readonly flow?: FlowType; readonly redirectUri?: string },
    ) => Effect.Effect<InitiatedLogin, ProviderNotConfigured | FlowInitiationFailed | CallError>
    /** Ends a `pkce_redirect` login with what the person pasted. Of two concurrent calls one is too late. */
    readonly exchange: (
      sessionId: string,
      code: Redacted.Redacted,
    ) => Effect.Effect<PublicToken, SessionError | AccessDenied | ExchangeFailed | CallError>
    /** Asks how a `device_code` or `browser_redirect` login goes. When it is complete, says so once. */
    readonly poll: (
      sessionId: string,
    ) => Effect.Effect<LoginProgress, SessionError | AccessDenied | PollFailed | CallError>
    /** Ends a login. It is fine if there is none. A token that is stored already stays. */
    readonly cancel: (sessionId: string) => Effect.Effect<void, PeerMismatch | CallError>
    /** An access token, valid for at least `minimumValidity` if refreshing can give that, else for as long as it is. */
    readonly getToken: (
      account: AccountKey,
      options?: { readonly minimumValidity?: Duration.Duration },
    ) => Effect.Effect<PublicToken, TokenError | CallError>
    /** A refreshed access token. Soon after a refresh there is no other: a token still valid is returned as it is. */
    readonly refreshToken: (account: AccountKey) => Effect.Effect<PublicToken, TokenError | CallError>
    /** Stores an access token from elsewhere; what refreshes it is never taken from a caller, and what is there stays. */
    readonly saveToken: (account: AccountKey, token: PublicToken) => Effect.Effect<void, CallError>
    /**
     * Revokes an account's token at its provider, which gets 10 s for it, and forgets it in any case. It is fine if there
     * is none. A removal during a refresh wins.
     */
    readonly removeToken: (account: AccountKey) => Effect.Effect<Revocation, CallError>
    /** The names of the providers that are configured, or at which somebody is logged in. */
    readonly listProviders: Effect.Effect<ReadonlyArray<string>, CallError>
    /** The buckets of a provider in which somebody is logged in. */
    readonly listBuckets: (provider: string) => Effect.Effect<ReadonlyArray<string>, CallError>
    /** How often the account's token was asked for over a socket; what another process serves shows half a minute later. */
    readonly bucketStats: (account: AccountKey) => Effect.Effect<BucketStats, TokenNotFound | CallError>
    /** An API key. Keys are set and removed on the host only, with `ApiKeys`. */
    readonly getApiKey: (name: string) => Effect.Effect<Redacted.Redacted, ApiKeyNotFound | CallError>
    readonly hasApiKey: (name: string) => Effect.Effect<boolean, CallError>
    /** The names of the API keys. */
    readonly listApiKeys: Effect.Effect<ReadonlyArray<string>, CallError>
  }
>()("tokenkeep/broker/Broker") {}
