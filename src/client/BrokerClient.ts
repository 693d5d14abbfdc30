/**
 * The {@link Broker} over a socket: the same service, for programs that must not hold refresh tokens.
 */
import { DateTime, type Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Broker, type CallError, type InitiatedLogin, type LoginProgress, type TokenError } from "../broker/Broker.ts"
import { orStillGood } from "../broker/StillGood.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import {
  AccessDenied,
  ExchangeFailed,
  FlowInitiationFailed,
  Forbidden,
  HostFailure,
  InvalidRequest,
  PeerMismatch,
  PollFailed,
  ProviderNotConfigured,
  ProviderNotFound,
  RateLimited,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  RefreshRateLimited,
  type SessionError,
  SessionExpired,
  SessionNotFound,
  SessionUsed,
  TokenNotFound,
  Unauthorized,
} from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import { isFresh, type PublicToken } from "../domain/Token.ts"
import type { JsonObject } from "../server/Frame.ts"
import * as Protocol from "../server/Protocol.ts"
import * as HostConnection from "./HostConnection.ts"

/** What a code means where it is received. */
type Meanings<E> = { readonly [code in Protocol.WireCode]?: (detail: string, retryAfter: Duration.Duration) => E }

const decodeProviders = Schema.decodeUnknownOption(Schema.Struct({ providers: Schema.Array(Schema.String) }))
const decodeBuckets = Schema.decodeUnknownOption(Schema.Struct({ buckets: Schema.Array(Schema.String) }))
const isCode = Schema.is(Protocol.WireCode)

/** A broker that asks the host at the socket. Connects at the first call. */
export const layer = (options: HostConnection.Options): Layer.Layer<Broker> =>
  Layer.effect(
    Broker,
    Effect.gen(function* () {
      const call = yield* HostConnection.make(options)

      const ask = <A, E>(
        op: string,
        payload: JsonObject,
        decode: (data: JsonObject) => Option.Option<A>,
        meanings: Meanings<E>,
      ): Effect.Effect<A, E | CallError> =>
        call(op, payload).pipe(
          Effect.catchTag("Refused", ({ code, error, retryAfter }): Effect.Effect<never, E | CallError> => {
            const detail = printable(error)
            const meaning = isCode(code) ? meanings[code] : undefined
            if (meaning !== undefined) return Effect.fail(meaning(detail, retryAfter))
            switch (code) {
              case "UNAUTHORIZED":
                return Effect.fail(Unauthorized.make({}))
              case "FORBIDDEN":
                return Effect.fail(Forbidden.make({}))
              case "INVALID_REQUEST":
                return Effect.fail(InvalidRequest.make({ detail }))
              case "RATE_LIMITED":
                return Effect.fail(RateLimited.make({ retryAfter }))
              default:
                return Effect.fail(HostFailure.make({}))
            }
          }),
          Effect.flatMap((data) => Effect.fromOption(decode(data))),
          Effect.catchTag("NoSuchElementError", () => Effect.fail(HostFailure.make({}))),
        )

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

        removeToken: (account) => ask<void, never>("remove_token", named(account), nothing, {}),

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
