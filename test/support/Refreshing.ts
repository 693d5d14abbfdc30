/**
 * Refreshers over one store, each as if in a process of its own, and a provider that answers as it is told.
 */
import { createHash } from "node:crypto"
import { Context, DateTime, Deferred, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Digest } from "effect/crypto"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { BrokerConfig, type Settings } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { RefreshedToken, StoredToken } from "../../src/domain/Token.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import { granterOf, type Provider } from "../../src/oauth/Provider.ts"
import { ProviderFailure, type Reason } from "../../src/oauth/ProviderFailure.ts"
import { ProcessId } from "../../src/system/ProcessId.ts"
import { seconds } from "./Records.ts"

export const github = Account.make("github")
export const other = Account.make("other")

/** What the provider does when a refresh token is sent to it. */
export type Answer = Effect.Effect<RefreshedToken, Reason>

/** Refuses. */
export const fails = (reason: Reason): Answer => Effect.fail(reason)

/** Gives this access token, which lives for so many seconds, and no new refresh token. */
export const gives = (accessToken: string, life: number): Answer =>
  Effect.map(DateTime.now, (now) => ({
    accessToken: Redacted.make(accessToken),
    expiresAt: DateTime.addDuration(now, Duration.seconds(life)),
  }))

/** A moment that the test waits for, and a moment that the provider waits for. */
export const makeGate = Effect.gen(function* () {
  const asked = yield* Deferred.make<void>()
  const opened = yield* Deferred.make<void>()
  return {
    asked: Deferred.await(asked),
    open: Deferred.succeed(opened, undefined),
    /** Answers once the gate is open. */
    before: (answer: Answer): Answer =>
      Deferred.succeed(asked, undefined).pipe(Effect.andThen(Deferred.await(opened)), Effect.andThen(answer)),
  }
})

/** One use of a refresh token: when, in seconds since the test began, and which. */
export interface Redemption {
  readonly at: number
  readonly provider: string
  readonly refreshToken: string
}

const providerOf = (name: string): Provider => ({
  name,
  issuer: "https://id.example",
  clientId: "c",
  scopes: [],
  flows: ["device_code"],
  redirectUris: [],
  publicFields: [],
  secret: Option.none(),
})

/** A provider that gives tokens named after how often it was asked, unless it is told to do something else. */
export const makeProvider = (life = 3600) => {
  const redemptions: Array<Redemption> = []
  const script = new Map<string, Array<Answer>>()
  const beginnings: Array<Effect.Effect<void, Reason>> = []
  const fail = (provider: string) => (reason: Reason) => new ProviderFailure({ provider, reason })
  const well = (n: number) =>
    Effect.map(gives(`access-${n}`, life), (token) => ({ ...token, refreshToken: Redacted.make(`refresh-${n}`) }))
  const client = Layer.mock(OAuthClient, {
    beginRefresh: ({ name, ...record }) =>
      Effect.as(Effect.mapError(beginnings.shift() ?? Effect.void, fail(name)), {
        granter: granterOf(record),
        redeem: (refreshToken) =>
          Effect.gen(function* () {
            const at = DateTime.toEpochMillis(yield* DateTime.now) / 1000
            redemptions.push({ at, provider: name, refreshToken: Redacted.value(refreshToken) })
            return yield* script.get(name)?.shift() ?? well(redemptions.length)
          }).pipe(Effect.mapError(fail(name))),
      }),
  })
  return {
    client,
    redemptions,
    /** How it answers the next refreshes of an account, in turn; after these it gives tokens again. */
    answers: (account: AccountKey, ...answers: ReadonlyArray<Answer>) => {
      script.set(account.provider, [...(script.get(account.provider) ?? []), ...answers])
    },
    /** What happens before anything is sent: for example, that its metadata cannot be had. */
    begins: (beginning: Effect.Effect<void, Reason>) => void beginnings.push(beginning),
    /** When it was asked. */
    times: () => redemptions.map(({ at }) => at),
  }
}

/** Not WebCrypto's, which takes real time. */
export const layerDigest = Layer.succeed(
  Digest.Digest,
  Digest.Digest.of({
    digest: (_, bytes) => Effect.sync(() => new Uint8Array(createHash("sha256").update(bytes).digest())),
    digestHex: (_, bytes) => Effect.sync(() => createHash("sha256").update(bytes).digest("hex")),
  }),
)

export const hashOf = (refreshToken: string): string => createHash("sha256").update(refreshToken).digest("hex")

/** The store and the locks that all processes share. */
export const layerShared = (settings: Partial<Settings> = {}) =>
  Layer.mergeAll(TokenStore.layerMemory, AccountLock.layerMemory).pipe(
    Layer.provideMerge(BrokerConfig.layer("/nowhere", settings)),
    Layer.fresh,
  )

/** One process: its refresher, and what it thinks of the accounts. */
export const startProcess = Effect.fnUntraced(function* (client: Layer.Layer<OAuthClient>, pid = 1) {
  const shared = yield* Effect.context<TokenStore | AccountLock | BrokerConfig>()
  const context = yield* Layer.build(
    Refresher.layer.pipe(
      Layer.provideMerge(Accounts.layer),
      Layer.provide([client, Providers.layerMemory([providerOf("github"), providerOf("other")]), layerDigest]),
      Layer.provide(Layer.succeedContext(shared)),
      Layer.fresh,
    ),
  ).pipe(Effect.provideService(ProcessId, pid))
  const accounts = yield* Effect.provideContext(Accounts, context)
  const { refresh } = yield* Effect.provideContext(Refresher, context)
  return { accounts, refresh, access: (account: AccountKey) => Effect.map(refresh(account), accessOf) }
})

export const accessOf = ({ accessToken }: StoredToken): string => Redacted.value(accessToken)

/** A token that expired when the test began. */
export const expired = (name: string): StoredToken => ({
  accessToken: Redacted.make(name),
  refreshToken: Redacted.make(name),
  expiresAt: seconds(0),
  tokenType: "bearer",
  extras: Redacted.make({}),
})

/** A login, as a person makes one. */
export const login = (accounts: Accounts["Service"], account: AccountKey, token: StoredToken) =>
  Effect.flatMap(DateTime.now, (now) =>
    accounts.update(account, () => Effect.succeed(AccountRecord.fromLogin(token, now))),
  )

export interface Options {
  /** For how many seconds the provider's tokens live. */
  readonly life?: number
  readonly settings?: Partial<Settings>
  /** What is different about the logins' token. */
  readonly token?: Partial<StoredToken>
  /** What is different about the store. */
  readonly store?: (real: TokenStore["Service"]) => Partial<TokenStore["Service"]>
}

/** One process with two logins, called `old`, that are both to be refreshed. */
export const setUp = Effect.fnUntraced(function* (options: Options = {}) {
  const provider = makeProvider(options.life)
  const kept = yield* Layer.build(layerShared(options.settings))
  const store = yield* Effect.provideContext(TokenStore, kept)
  const lock = yield* Effect.provideContext(AccountLock, kept)
  const shared = Context.add(kept, TokenStore, TokenStore.of({ ...store, ...options.store?.(store) }))
  const start = (pid?: number) => Effect.provideContext(startProcess(provider.client, pid), shared)
  const process = yield* start()
  for (const account of [github, other]) {
    yield* store.set(account, AccountRecord.fromLogin({ ...expired("old"), ...options.token }, seconds(0)))
  }
  const record = Effect.map(store.get(github), Option.getOrThrow)
  return { ...process, lock, provider, record, start, store }
})

/** Lets everything that is not waiting go on until it is. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 100 })
