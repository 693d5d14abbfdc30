/**
 * The {@link Broker} of the host: the one that has the refresh tokens.
 */
import { Clock, DateTime, Deferred, Duration, Effect, Exit, Layer, Option, Redacted, Result, type Scope } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { AccountKey } from "../domain/AccountKey.ts"
import * as AccountRecord from "../domain/AccountRecord.ts"
import { statsOf } from "../domain/BucketUsage.ts"
import {
  AccessDenied,
  ApiKeyNotFound,
  ExchangeFailed,
  FlowInitiationFailed,
  InvalidRequest,
  PollFailed,
  SessionExpired,
  SessionNotFound,
  TokenNotFound,
} from "../domain/Errors.ts"
import type { FlowType } from "../domain/Session.ts"
import { isFresh, mergeRefreshed, type PublicToken, type StoredToken, toPublic } from "../domain/Token.ts"
import * as BrowserRedirect from "../oauth/BrowserRedirect.ts"
import * as DeviceCode from "../oauth/DeviceCode.ts"
import { LoopbackListener, type PortsTaken } from "../oauth/LoopbackListener.ts"
import { OAuthClient } from "../oauth/OAuthClient.ts"
import * as PkceRedirect from "../oauth/PkceRedirect.ts"
import type { Provider } from "../oauth/Provider.ts"
import { type ProviderFailure, remedyFor } from "../oauth/ProviderFailure.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { AccountLock } from "./AccountLock.ts"
import { Adopted } from "./Adopted.ts"
import * as AccountLockFile from "./AccountLockFile.ts"
import { Accounts } from "./Accounts.ts"
import { ApiKeys } from "./ApiKeys.ts"
import * as ApiKeysFile from "./ApiKeysFile.ts"
import { AuthEvents } from "./AuthEvents.ts"
import { Broker, type InitiatedLogin } from "./Broker.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { CurrentPeer } from "./CurrentPeer.ts"
import * as EventRelay from "./EventRelay.ts"
import * as LoginEvents from "./LoginEvents.ts"
import type { LoginInProgress, WaitFailure } from "./LoginInProgress.ts"
import { Providers } from "./Providers.ts"
import * as ProvidersByAddress from "./ProvidersByAddress.ts"
import { Refresher } from "./Refresher.ts"
import { Revoker } from "./Revoker.ts"
import { Sessions } from "./Sessions.ts"
import { orStillGood } from "./StillGood.ts"
import * as TokenEvents from "./TokenEvents.ts"
import { TokensAtHand } from "./TokensAtHand.ts"
import { TokenStore } from "./TokenStore.ts"
import * as TokenStoreFile from "./TokenStoreFile.ts"
import { Usage } from "./Usage.ts"
import * as UsageFile from "./UsageFile.ts"

/** How long an answer to `poll` may wait for a provider call that is under way. */
const pollPatience = Duration.seconds(15)

/** How often it is worth asking how a browser login goes; nothing outside this machine is asked. */
const browserInterval = Duration.seconds(1)

type Begun = Omit<InitiatedLogin, "sessionId" | "expiresIn" | "notice"> & {
  readonly login: LoginInProgress
  readonly expiresIn?: Duration.Duration
}

/** The broker over whatever stores, sessions and client are in the context. */
export const layerNoDeps = Layer.effect(
  Broker,
  Effect.gen(function* () {
    const config = yield* BrokerConfig
    const sessions = yield* Sessions
    const accounts = yield* Accounts
    const providers = yield* Providers
    const apiKeys = yield* ApiKeys
    const usage = yield* Usage
    const refresher = yield* Refresher
    const revoker = yield* Revoker
    const adopted = yield* Adopted
    const client = yield* OAuthClient
    const listener = yield* LoopbackListener
    const random = yield* SecureRandom.SecureRandom
    const events = yield* AuthEvents
    const clock = yield* Clock.Clock

    /** A refresh that was under way may bring another refresh token meanwhile, which must not outlive the logout. */
    const revokeAll = Effect.fnUntraced(function* (account: AccountKey, record: AccountRecord.AccountRecord) {
      const revocation = yield* revoker.revoke(account, record)
      const now = yield* Effect.orElseSucceed(accounts.get(account), () => Option.none<AccountRecord.AccountRecord>())
      if (Option.isNone(now) || AccountRecord.isSameLogin(now.value, record)) return revocation
      return yield* revoker.revoke(account, now.value)
    })

    const publicFieldsOf = (account: AccountKey) =>
      providers.record(account.provider).pipe(
        Effect.map((record) => record.publicFields),
        // A token outlives its provider's record; then none of its extra fields is known to be harmless.
        Effect.catchTag("ProviderNotConfigured", () => Effect.succeed([])),
        Effect.catch((error) => Effect.as(Effect.logWarning(error.message), [])),
      )

    const publish = Effect.fnUntraced(function* (account: AccountKey, token: StoredToken) {
      return toPublic(token, yield* publicFieldsOf(account))
    })

    const keep = Effect.fnUntraced(function* (account: AccountKey, granter: AccountRecord.Granter, token: StoredToken) {
      const record = AccountRecord.fromLogin(token, yield* DateTime.now, granter)
      yield* providers.settle(account.provider, granter)
      yield* accounts.update(account, () => Effect.succeed(record))
      return yield* publish(account, token)
    })

    /** Waits for the grant in the session's scope and leaves the outcome for `poll`. */
    const waitFor = Effect.fnUntraced(function* (
      attempt: LoginEvents.LoginAttempt,
      settled: Effect.Effect<PublicToken, WaitFailure>,
    ) {
      const outcome = yield* Deferred.make<PublicToken, WaitFailure>()
      yield* settled.pipe(
        Effect.onExit((exit) => attempt.ended(exit)),
        Effect.onExit((exit) => Deferred.done(outcome, exit)),
        Effect.exit,
        Effect.forkScoped,
      )
      return outcome
    })

    type Begin = (
      attempt: LoginEvents.LoginAttempt,
      account: AccountKey,
      provider: Provider,
      redirectUri: string | undefined,
    ) => Effect.Effect<
      Begun,
      ProviderFailure | PortsTaken,
      OAuthClient | LoopbackListener | SecureRandom.SecureRandom | Scope.Scope
    >

    const begin: { readonly [flow in FlowType]: Begin } = {
      pkce_redirect: Effect.fnUntraced(function* ({ ended }, _, provider, redirectUri) {
        const { authorizationUrl, granter, redeem } = yield* PkceRedirect.begin(provider, redirectUri)
        return {
          flowType: "pkce_redirect",
          authUrl: authorizationUrl,
          device: Option.none(),
          pollInterval: browserInterval,
          login: { _tag: "pkce_redirect", granter, redeem, ended },
        }
      }),

      device_code: Effect.fnUntraced(function* (attempt, account, provider) {
        const login = yield* DeviceCode.begin(provider, config.sessionLifetime)
        const { activity, expiresIn, granted, granter, interval } = login
        const { userCode, verificationUri, verificationUriComplete } = login
        const outcome = yield* waitFor(
          attempt,
          Effect.flatMap(granted, (token) => keep(account, granter, token)),
        )
        return {
          flowType: "device_code",
          authUrl: Option.getOrElse(verificationUriComplete, () => verificationUri),
          device: Option.some({ userCode, verificationUri, verificationUriComplete }),
          pollInterval: yield* interval,
          expiresIn,
          login: { _tag: "device_code", outcome, interval, idle: activity.idle },
        }
      }),

      browser_redirect: Effect.fnUntraced(function* (attempt, account, provider, redirectUri) {
        const { activity, authorizationUrl, granter, settle } = yield* BrowserRedirect.begin(
          provider,
          config.sessionLifetime,
          redirectUri,
        )
        const outcome = yield* waitFor(
          attempt,
          settle((token) => keep(account, granter, token)),
        )
        return {
          flowType: "browser_redirect",
          authUrl: authorizationUrl,
          device: Option.none(),
          pollInterval: browserInterval,
          login: {
            _tag: "browser_redirect",
            outcome,
            interval: Effect.succeed(browserInterval),
            idle: activity.idle,
          },
        }
      }),
    }

    return Broker.of({
      initiate: Effect.fn("Broker.initiate")(function* (account, options = {}) {
        // A file that could not be replaced must not cost a person a login.
        yield* accounts.replaceable(account)
        const provider = yield* providers.prepare(account.provider)
        const { flow, redirectUri } = options
        if (flow !== undefined && !provider.flows.includes(flow)) {
          return yield* InvalidRequest.make({
            detail: `This provider does not offer ${withFlag(flow)}. It offers: ${provider.flows.map(withFlag).join(", ")}.`,
          })
        }
        if (redirectUri !== undefined && !provider.redirectUris.includes(redirectUri)) {
          return yield* InvalidRequest.make({ detail: "This redirect URI is not registered for the provider." })
        }
        const peer = yield* CurrentPeer
        const beginBy = (flow: FlowType) =>
          sessions
            .create(
              { account, peer },
              Effect.gen(function* () {
                const attempt = yield* LoginEvents.begin(events, clock, account, flow)
                const begun = yield* Effect.onError(begin[flow](attempt, account, provider, redirectUri), (cause) =>
                  attempt.ended(Exit.failCause(cause)),
                )
                return { ...begun, attempt }
              }).pipe(
                Effect.provideService(OAuthClient, client),
                Effect.provideService(LoopbackListener, listener),
                Effect.provideService(SecureRandom.SecureRandom, random),
              ),
            )
            .pipe(
              Effect.tap(({ begun, session }) => Effect.sync(() => begun.attempt.livesUntil(session.expiresAt))),
              Effect.catchTags({
                PortsTaken: ({ message }) =>
                  Effect.fail(FlowInitiationFailed.make({ detail: message, remedy: "change" })),
                ProviderFailure: ({ message, reason }) =>
                  Effect.fail(FlowInitiationFailed.make({ detail: message, remedy: remedyFor(reason) })),
              }),
            )
        // A port may be taken, or an endpoint closed to this client; what the asker has chosen stays chosen.
        const [first, ...others] =
          flow === undefined && redirectUri === undefined ? provider.flows : [flow ?? provider.flows[0]]
        const { begun, session } = yield* others.reduce(
          (begin, next) =>
            Effect.catchTag(begin, "FlowInitiationFailed", (failed) =>
              Effect.catchTag(beginBy(next), "FlowInitiationFailed", ({ detail, ...rest }) =>
                Effect.fail(
                  detail === failed.detail
                    ? failed
                    : FlowInitiationFailed.make({ ...rest, detail: `${failed.detail} ${detail}` }),
                ),
              ),
            ),
          beginBy(first),
        )
        const now = yield* DateTime.now
        return {
          sessionId: session.id,
          flowType: begun.flowType,
          authUrl: begun.authUrl,
          device: begun.device,
          pollInterval: begun.pollInterval,
          notice: Option.fromUndefinedOr(provider.notice),
          expiresIn: DateTime.distance(now, session.expiresAt),
        }
      }),

      exchange: Effect.fn("Broker.exchange")(function* (sessionId, code) {
        const peer = yield* CurrentPeer
        const { login } = yield* sessions.get(sessionId, peer)
        if (login._tag !== "pkce_redirect") return yield* unsuited(login._tag, "oauth_poll")
        const session = yield* sessions.take(sessionId, peer)
        // A code is good once: when the asker goes away, what it brings is kept all the same.
        return yield* Effect.gen(function* () {
          const token = yield* login.redeem(code).pipe(
            Effect.onError((cause) => login.ended(Exit.failCause(cause))),
            Effect.catchTags({
              GrantDenied: () => Effect.fail(AccessDenied.make({ sessionId })),
              CallbackRejected: ({ message }) =>
                Effect.fail(
                  ExchangeFailed.make({ detail: `${message} Nothing was sent to the provider; begin a new login.` }),
                ),
              ProviderFailure: (failure) =>
                Effect.fail(
                  ExchangeFailed.make({
                    detail:
                      failure.reason._tag === "ReloginNeeded"
                        ? "The provider did not accept the code: it was wrong, used before, or too old. Begin a new login."
                        : `${failure.message} Nothing was stored; begin a new login.`,
                    remedy: remedyFor(failure.reason),
                  }),
                ),
            }),
          )
          if (!(yield* sessions.isTaken(sessionId))) return yield* SessionNotFound.make({ sessionId })
          const published = yield* Effect.onExit(keep(session.account, login.granter, token), login.ended)
          yield* sessions.complete(sessionId)
          return published
        }).pipe(Effect.uninterruptible)
      }),

      poll: Effect.fn("Broker.poll")(function* (sessionId) {
        const peer = yield* CurrentPeer
        const { login } = yield* sessions.get(sessionId, peer)
        if (login._tag === "pkce_redirect") return yield* unsuited(login._tag, "oauth_exchange")
        yield* Effect.raceFirst(login.idle, Effect.exit(Deferred.await(login.outcome))).pipe(
          Effect.timeoutOption(pollPatience),
        )
        if (!Deferred.isDoneUnsafe(login.outcome)) return { status: "pending", interval: yield* login.interval }
        // Whoever takes it first is told; the session says the rest to everybody after that.
        yield* sessions.take(sessionId, peer)
        const token = yield* Deferred.await(login.outcome).pipe(
          Effect.catchTags({
            GrantDenied: () => Effect.fail(AccessDenied.make({ sessionId })),
            GrantExpired: () => Effect.fail(SessionExpired.make({ sessionId })),
            CallbackRejected: ({ message }) =>
              Effect.fail(PollFailed.make({ detail: `${message} Begin a new login.` })),
            ProviderFailure: ({ message, reason }) =>
              Effect.fail(
                PollFailed.make({
                  detail: `${message} Nothing was stored; begin a new login.`,
                  remedy: remedyFor(reason),
                }),
              ),
          }),
        )
        yield* sessions.complete(sessionId)
        return { status: "complete", token }
      }),

      cancel: Effect.fn("Broker.cancel")(function* (sessionId) {
        yield* sessions.remove(sessionId, yield* CurrentPeer)
      }),

      getToken: Effect.fn("Broker.getToken")(
        function* (account, options = {}) {
          const { minimumValidity = config.minimumValidity } = options
          const record = yield* accounts.get(account)
          if (Option.isNone(record)) return yield* TokenNotFound.make({ account })
          const { token } = record.value
          if (isFresh(token, yield* DateTime.now, minimumValidity)) return yield* publish(account, token)
          return yield* publish(account, yield* refresher.refresh(account).pipe(orStillGood(token)))
        },
        TokenEvents.told(events, clock, "get_token"),
      ),

      refreshToken: Effect.fn("Broker.refreshToken")(
        function* (account) {
          return yield* publish(account, yield* refresher.refresh(account))
        },
        TokenEvents.told(events, clock, "refresh_token"),
      ),

      saveToken: Effect.fn("Broker.saveToken")(function* (account, token) {
        const brought = { ...token, extras: Redacted.make(token.extras) }
        const now = yield* DateTime.now
        yield* accounts.update(account, (current) =>
          Effect.succeed(
            Option.match(current, {
              onNone: () => AccountRecord.fromLogin(brought, now),
              onSome: (record) => ({ ...record, token: mergeRefreshed(record.token, brought), since: now }),
            }),
          ),
        )
        if (events.isHeard) {
          events.publish({
            _tag: "import",
            account,
            source: "save_token",
            fingerprint: fingerprintOf(token.accessToken),
          })
        }
      }),

      removeToken: Effect.fn("Broker.removeToken")(function* (account) {
        // What cannot be read, or not as a whole, is not sent to be revoked, and can be forgotten all the same.
        const found = yield* Effect.result(Effect.andThen(accounts.replaceable(account), accounts.get(account)))
        const revocation = Result.isFailure(found)
          ? "failed"
          : yield* Option.match(found.success, {
              onNone: () => Effect.succeed("nothing" as const),
              onSome: (record) => revokeAll(account, record),
            })
        yield* accounts.remove(account)
        yield* adopted.forgotten(account)
        if (revocation !== "nothing") events.publish({ _tag: "logout", account, revocation })
        return revocation
      }),

      listProviders: Effect.gen(function* () {
        const configured = yield* providers.list
        const used = new Set((yield* accounts.list).map((account) => account.provider))
        const others = [...used].filter((name) => !configured.includes(name))
        // One that is built in needs no configuration.
        const known = yield* Effect.filter(others, (name) => Effect.isSuccess(providers.record(name)))
        return [...configured, ...known]
      }).pipe(Effect.withSpan("Broker.listProviders")),

      listBuckets: Effect.fn("Broker.listBuckets")(function* (provider) {
        const known = yield* accounts.list
        return known.filter((account) => account.provider === provider).map((account) => account.bucket)
      }),

      bucketStats: Effect.fn("Broker.bucketStats")(function* (account) {
        if (Option.isNone(yield* accounts.get(account))) return yield* TokenNotFound.make({ account })
        return statsOf(account.bucket, yield* usage.of(account.provider))
      }),

      getApiKey: Effect.fn("Broker.getApiKey")(function* (name) {
        const key = yield* apiKeys.get(name)
        return Option.isSome(key) ? key.value : yield* ApiKeyNotFound.make({ name })
      }),

      hasApiKey: (name) => Effect.map(apiKeys.get(name), Option.isSome),

      listApiKeys: apiKeys.list,
    })
  }),
)

/** The broker over places to keep things in. What is under it is there too, for `Renewal` and for who wants to look. */
export const layerOver = <E, R>(places: Layer.Layer<TokenStore | AccountLock | Providers | ApiKeys, E, R>) =>
  layerNoDeps.pipe(
    Layer.merge(TokensAtHand.layer),
    Layer.provideMerge([Refresher.layer, Revoker.layer]),
    Layer.provideMerge(Accounts.layer),
    Layer.provide([Sessions.layer, OAuthClient.layer, LoopbackListener.layerNode]),
    Layer.provideMerge(places),
    Layer.provideMerge(AuthEvents.layer),
    Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  )

/** The broker with its tokens and providers in files, which other processes may share. */
export const layer = layerOver(
  Layer.mergeAll(
    TokenStoreFile.layer,
    AccountLockFile.layer,
    ProvidersByAddress.layer,
    ApiKeysFile.layer,
    UsageFile.layer,
    EventRelay.layer,
  ),
)

/** The broker with these providers, and nothing on disk. */
export const layerMemory = (providers: ReadonlyArray<Provider>) =>
  layerOver(
    Layer.mergeAll(
      TokenStore.layerMemory,
      AccountLock.layerMemory,
      Providers.layerMemory(providers),
      ApiKeys.layerMemory,
      Usage.layerMemory,
    ),
  )

/** A flow by both its names: the one of the protocol, and the one that is typed. */
const withFlag = (flow: FlowType) => `${flow} (--flow ${flowFlags[flow]})`

const flowFlags = {
  browser_redirect: "browser",
  device_code: "device",
  pkce_redirect: "paste",
} as const satisfies { readonly [flow in FlowType]: string }

const unsuited = (flow: FlowType, use: string) =>
  InvalidRequest.make({ detail: `A ${flow} login does not take this operation; use ${use}.` })
