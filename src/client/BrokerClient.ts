/**
 * The {@link Broker} over a socket: the same service, for programs that must not hold refresh tokens.
 */
import { DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Broker, type InitiatedLogin, type LoginProgress, type TokenError } from "../broker/Broker.ts"
import { orStillGood } from "../broker/StillGood.ts"
import { type AccountKey, BucketName, ProviderName } from "../domain/AccountKey.ts"
import type { BucketStats } from "../domain/BucketUsage.ts"
import {
  AccessDenied,
  ApiKeyNotFound,
  ExchangeFailed,
  FlowInitiationFailed,
  PeerMismatch,
  PollFailed,
  ProviderNotConfigured,
  ProviderNotFound,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  RefreshRateLimited,
  type SessionError,
  SessionExpired,
  SessionNotFound,
  SessionUsed,
  TokenNotFound,
} from "../domain/Errors.ts"
import type { Revocation } from "../domain/Revocation.ts"
import { isFresh, type PublicToken } from "../domain/Token.ts"
import * as Protocol from "../server/Protocol.ts"
import * as Ask from "./Ask.ts"
import type { Meanings } from "./Ask.ts"
import * as HostConnection from "./HostConnection.ts"

const decodeProviders = Schema.decodeUnknownOption(Schema.Struct({ providers: Schema.Array(ProviderName) }))
const decodeBuckets = Schema.decodeUnknownOption(Schema.Struct({ buckets: Schema.Array(BucketName) }))

const decodeExists = Schema.decodeUnknownOption(Schema.Struct({ exists: Schema.Boolean }))
const decodeKeys = Schema.decodeUnknownOption(Schema.Struct({ keys: Schema.Array(Schema.String) }))

/** A broker that asks the host at the socket. Connects at the first call. */
export const layer = (options: HostConnection.Options): Layer.Layer<Broker> =>
  Layer.effect(
    Broker,
    Effect.gen(function* () {
      const call = yield* HostConnection.make(options)

      const ask = Ask.make(call)

      const getToken = (account: AccountKey) =>
        ask<PublicToken, TokenError>("get_token", named(account), Protocol.decodeToken, tokenMeanings(account))

      const refreshToken = (account: AccountKey) =>
        ask<PublicToken, TokenError>("refresh_token", named(account), Protocol.decodeToken, tokenMeanings(account))

      return Broker.of({
        initiate: (account, { flow, redirectUri } = {}) =>
          ask<InitiatedLogin, ProviderNotConfigured | FlowInitiationFailed>(
            "oauth_initiate",
            {
              ...named(account),
              ...(flow !== undefined && { flow_type: flow }),
              ...(redirectUri !== undefined && { redirect_uri: redirectUri }),
            },
            Protocol.decodeInitiated,
            {
              PROVIDER_NOT_CONFIGURED: () => ProviderNotConfigured.make({ provider: account.provider }),
              FLOW_INITIATION_FAILED: (detail) => FlowInitiationFailed.make({ detail }),
            },
          ),

        exchange: (sessionId, code) =>
          ask<PublicToken, SessionError | AccessDenied | ExchangeFailed>(
            "oauth_exchange",
            { session_id: sessionId, code: Redacted.value(code) },
            Protocol.decodeToken,
            {
              ...sessionMeanings(sessionId),
              EXCHANGE_FAILED: (detail) => ExchangeFailed.make({ detail }),
            },
          ),

        poll: (sessionId) =>
          ask<LoginProgress, SessionError | AccessDenied | PollFailed>(
            "oauth_poll",
            { session_id: sessionId },
            Protocol.decodeProgress,
            {
              ...sessionMeanings(sessionId),
              POLL_FAILED: (detail) => PollFailed.make({ detail }),
            },
          ),

        cancel: (sessionId) =>
          ask<void, PeerMismatch>("oauth_cancel", { session_id: sessionId }, nothing, {
            UNAUTHORIZED: () => PeerMismatch.make({ sessionId }),
          }),

        getToken: Effect.fn("BrokerClient.getToken")(function* (account, { minimumValidity } = {}) {
          const token = yield* getToken(account)
          // The wire has no such wish, so it is granted here, by the rules of the host.
          if (minimumValidity === undefined || isFresh(token, yield* DateTime.now, minimumValidity)) return token
          return yield* refreshToken(account).pipe(orStillGood(token))
        }),

        refreshToken,

        saveToken: (account, token) =>
          ask<void, never>("save_token", { ...named(account), token: Protocol.encodeToken(token) }, nothing, {}),

        removeToken: (account) => ask<Revocation, never>("logout", named(account), Protocol.decodeRevocation, {}),

        listProviders: ask<ReadonlyArray<string>, never>(
          "list_providers",
          {},
          (data) => Option.map(decodeProviders(data), (d) => d.providers),
          {},
        ),

        listBuckets: (provider) =>
          ask<ReadonlyArray<string>, never>(
            "list_buckets",
            { provider },
            (data) => Option.map(decodeBuckets(data), (d) => d.buckets),
            {},
          ),

        bucketStats: (account) =>
          ask<BucketStats, TokenNotFound>("get_bucket_stats", named(account), Protocol.decodeStats, {
            NOT_FOUND: () => TokenNotFound.make({ account }),
          }),

        getApiKey: (name) =>
          ask<Redacted.Redacted, ApiKeyNotFound>("get_api_key", { name }, Protocol.decodeApiKey, {
            NOT_FOUND: () => ApiKeyNotFound.make({ name }),
          }),

        hasApiKey: (name) =>
          ask<boolean, never>("has_api_key", { name }, (data) => Option.map(decodeExists(data), (d) => d.exists), {}),

        listApiKeys: ask<ReadonlyArray<string>, never>(
          "list_api_keys",
          {},
          (data) => Option.map(decodeKeys(data), (d) => d.keys),
          {},
        ),
      })
    }),
  )

const nothing = () => Option.some(undefined)
const named = ({ bucket, provider }: AccountKey) => ({ provider, bucket })

const tokenMeanings = (account: AccountKey): Meanings<TokenError> => ({
  NOT_FOUND: () => TokenNotFound.make({ account }),
  PROVIDER_NOT_FOUND: () => ProviderNotFound.make({ provider: account.provider }),
  REFRESH_NOT_AVAILABLE: () => RefreshNotAvailable.make({ account }),
  REFRESH_FAILED: (detail) => RefreshFailed.make({ account, detail }),
  REAUTH_REQUIRED: () => ReauthRequired.make({ account }),
  RATE_LIMITED: (_, retryAfter) => RefreshRateLimited.make({ account, retryAfter }),
})

const sessionMeanings = (sessionId: string): Meanings<SessionError | AccessDenied> => ({
  UNAUTHORIZED: () => PeerMismatch.make({ sessionId }),
  SESSION_NOT_FOUND: () => SessionNotFound.make({ sessionId }),
  SESSION_ALREADY_USED: () => SessionUsed.make({ sessionId }),
  SESSION_EXPIRED: () => SessionExpired.make({ sessionId }),
  ACCESS_DENIED: () => AccessDenied.make({ sessionId }),
})
