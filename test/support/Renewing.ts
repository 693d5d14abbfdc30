/**
 * Renewal over a store that can be broken, providers that answer as they are told, and a wall clock that can leap.
 */
import { Clock, Context, DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { Renewal } from "../../src/broker/Renewal.ts"
import { type StoreError, TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { RefreshedToken, StoredToken } from "../../src/domain/Token.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import { granterOf, type Provider } from "../../src/oauth/Provider.ts"
import { ProviderFailure, Reason } from "../../src/oauth/ProviderFailure.ts"
import { layerDigest } from "./Refreshing.ts"

/** One use of a refresh token: of which account, and how many milliseconds after the test began, however the clock leapt. */
export interface Call {
  readonly account: string
  readonly provider: string
  readonly at: number
}

export type Answer = Effect.Effect<RefreshedToken, Reason>

export const seconds = (n: number): number => n * 1000
export const minutes = (n: number): number => seconds(60 * n)
export const hours = (n: number): number => minutes(60 * n)
export const days = (n: number): number => hours(24 * n)

let tokens = 0

/** A new access token that lives for so many milliseconds. */
export const gives = (life: number): Answer =>
  Effect.map(DateTime.now, (now) => ({
    accessToken: Redacted.make(`access-${tokens++}`),
    expiresAt: DateTime.addDuration(now, Duration.millis(life)),
  }))

/** The provider cannot be reached, so nothing was sent. */
export const unreachable: Answer = Effect.fail(Reason.Transient({ what: "unreachable" }))

/** The differences between neighbours. */
export const gaps = (times: ReadonlyArray<number>): ReadonlyArray<number> =>
  times.slice(1).map((time, index) => time - (times[index] ?? 0))

/** So many accounts of one provider. */
export const accountsOf = (provider: string, count: number): ReadonlyArray<AccountKey> =>
  Array.from({ length: count }, (_, n) => Account.make(provider, `b${n}`))

/** A clock whose wall time can be set, and that knows how many fibers sleep by it. */
const makeClock = Effect.map(Clock.clockWith(Effect.succeed), (inner) => {
  let ahead = 0
  let sleeping = 0
  const millis = () => inner.currentTimeMillisUnsafe() + ahead
  const nanos = () => inner.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => inner.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: inner.monotonicTimeNanos,
    sleep: (duration) =>
      Effect.acquireUseRelease(
        Effect.sync(() => sleeping++),
        () => inner.sleep(duration),
        () => Effect.sync(() => sleeping--),
      ),
  }
  return {
    clock,
    elapsed: () => inner.currentTimeMillisUnsafe(),
    sleeping: () => sleeping,
    leap: (by: number) => Effect.sync(() => void (ahead += by)),
  }
})

/** A memory store whose every operation can be broken. */
const makeStore = Effect.gen(function* () {
  const inner = Context.get(yield* Layer.build(Layer.fresh(TokenStore.layerMemory)), TokenStore)
  const working: (account: AccountKey) => Effect.Effect<void, StoreError> = () => Effect.void
  const faults = { get: working, set: working, list: Effect.void as Effect.Effect<void, StoreError> }
  const store = TokenStore.of({
    ...inner,
    get: (account) =>
      Effect.andThen(
        Effect.suspend(() => faults.get(account)),
        inner.get(account),
      ),
    set: (account, record) =>
      Effect.andThen(
        Effect.suspend(() => faults.set(account)),
        inner.set(account, record),
      ),
    list: Effect.andThen(
      Effect.suspend(() => faults.list),
      inner.list,
    ),
  })
  return { faults, inner, store, working }
})

const makeProviders = (elapsed: () => number) => {
  const calls: Array<Call> = []
  const begun: Array<number> = []
  const atOnce = new Map<string, { now: number; most: number }>()
  /** What is done with a refresh token. A test replaces this. */
  const provider: { answers: (call: Call) => Answer } = { answers: () => gives(hours(1)) }

  const enter = (name: string) =>
    Effect.sync(() => {
      const entry = atOnce.get(name) ?? { now: 0, most: 0 }
      entry.now++
      entry.most = Math.max(entry.most, entry.now)
      atOnce.set(name, entry)
      return entry
    })
  const client = Layer.mock(OAuthClient, {
    beginRefresh: ({ name, ...record }) =>
      Effect.sync(() => {
        begun.push(elapsed())
        return {
          granter: granterOf(record),
          redeem: (refreshToken: Redacted.Redacted) => {
            const call = { account: Redacted.value(refreshToken).split("#")[0] ?? "", provider: name, at: elapsed() }
            calls.push(call)
            return Effect.acquireUseRelease(
              enter(name),
              () =>
                Effect.mapError(provider.answers(call), (reason) => new ProviderFailure({ provider: name, reason })),
              (entry) => Effect.sync(() => entry.now--),
            )
          },
        }
      }),
  })
  return { begun, calls, client, mostAtOnce: (name: string) => atOnce.get(name)?.most ?? 0, provider }
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

/** Everything that renewal needs. It begins when the test says so. */
export const setUp = Effect.fnUntraced(function* (names: ReadonlyArray<string> = ["github"]) {
  const { clock, elapsed, leap, sleeping } = yield* makeClock
  const { faults, inner, store, working } = yield* makeStore
  const { begun, calls, client, mostAtOnce, provider } = makeProviders(elapsed)
  const byClock = Effect.provideService(Clock.Clock, clock)
  const context = yield* Refresher.layer.pipe(
    Layer.provideMerge(Accounts.layer),
    Layer.provide([client, layerDigest, Layer.succeed(TokenStore, store), AccountLock.layerMemory]),
    Layer.provide([Providers.layerMemory(names.map(providerOf)), BrokerConfig.layer("/nowhere")]),
    Layer.fresh,
    Layer.build,
    byClock,
  )
  const accounts = Context.get(context, Accounts)
  const { refresh } = Context.get(context, Refresher)
  let logins = 0

  return {
    begun,
    calls,
    faults,
    leap,
    mostAtOnce,
    provider,
    sleeping,
    working,
    elapsed,
    /** The times at which an account's refresh token was used. */
    timesOf: (account: AccountKey) => calls.flatMap((call) => (call.account === account.toString() ? [call.at] : [])),
    /** A login, as a person makes one. Its token lives for so many milliseconds. */
    login: (account: AccountKey, life: number, changes: Partial<StoredToken> = {}) =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const token: StoredToken = {
          accessToken: Redacted.make(`login-${logins}`),
          refreshToken: Redacted.make(`${account.toString()}#${logins++}`),
          expiresAt: DateTime.addDuration(now, Duration.millis(life)),
          tokenType: "bearer",
          extras: Redacted.make({}),
          ...changes,
        }
        return yield* accounts.update(account, () => Effect.succeed(AccountRecord.fromLogin(token, now)))
      }).pipe(byClock),
    /** Someone uses the account, and refreshes it if need be. */
    refresh: (account: AccountKey) => byClock(refresh(account)),
    logout: (account: AccountKey) => byClock(accounts.remove(account)),
    record: (account: AccountKey) => Effect.map(inner.get(account), Option.getOrThrow),
    put: inner.set,
    /** A change is told of, although nothing has changed. */
    touch: (account: AccountKey) =>
      Effect.flatMap(inner.get(account), (record) => inner.set(account, Option.getOrThrow(record))),
    /** Renewal begins; it ends with the scope. Returns when it will renew an account, by the wall clock. */
    start: Effect.gen(function* () {
      const renewal = yield* Effect.provideContext(Layer.build(Layer.fresh(Renewal.layer)), context)
      yield* settle(100)
      return (account: AccountKey) =>
        Effect.map(Context.get(renewal, Renewal).next(account), (at) =>
          Option.getOrUndefined(Option.map(at, DateTime.toEpochMillis)),
        )
    }).pipe(byClock),
  }
})

/** Lets everything that is not waiting go on until it is. */
export const settle = (turns: number) => Effect.repeat(Effect.yieldNow, { times: turns })
