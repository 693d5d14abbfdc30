/**
 * Two brokers over one store, as if in two processes, that are told in any order to refresh, log in, log out and take a
 * token from elsewhere, against a provider that ends a login when one of its refresh tokens is used twice.
 *
 * A refresh token is called `3.1`: the second of the third login. So what is written says whether it may be.
 */
import { assert } from "@effect/vitest"
import { Cause, DateTime, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import type { AccountLock } from "../../src/broker/AccountLock.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { Broker } from "../../src/broker/Broker.ts"
import type { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { Revoker } from "../../src/broker/Revoker.ts"
import { Sessions } from "../../src/broker/Sessions.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { LoopbackListener } from "../../src/oauth/LoopbackListener.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import { granterOf, type Provider } from "../../src/oauth/Provider.ts"
import type { ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { ProviderFailure, Reason } from "../../src/oauth/ProviderFailure.ts"
import { layerDigest } from "./Refreshing.ts"

/** When something happens: after so many milliseconds, and then so many turns of the other fibers. */
const moment = fc.record({ millis: fc.constantFrom(0, 0, 0, 500, 1500, 3500), turns: fc.nat(4) })

/** As `Effect.repeat`, but in a tenth of the time. */
const yields = (turns: number): Effect.Effect<void> =>
  turns === 0 ? Effect.void : Effect.andThen(Effect.yieldNow, () => yields(turns - 1))

const wait = ({ millis, turns }: { readonly millis: number; readonly turns: number }) =>
  Effect.andThen(millis === 0 ? Effect.void : Effect.sleep(millis), yields(turns))

/** One thing that is done to the account, by one of the two processes. */
const step = fc.record({
  what: fc.constantFrom("refresh", "refresh", "refresh", "get", "login", "logout", "save"),
  by: fc.nat(1),
  start: moment,
})

/** How the provider deals with a refresh. */
const answer = fc.record({
  how: fc.constantFrom("well", "well", "well", "trouble", "loses", "refuses", "puts off"),
  takes: moment,
})

/** What happens to one account: at first, at the provider, and when nobody but a refresh is at work any more. */
export const plan = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 4 }),
  answers: fc.array(answer, { maxLength: 4 }),
  /** For how many turns of the other fibers the store is busy before and after what it does, again and again. */
  pauses: fc.array(fc.constantFrom(0, 0, 0, 1, 2), { minLength: 1, maxLength: 7 }),
  last: fc.constantFrom("logout", "login", "nothing"),
  lastBy: fc.nat(1),
})
export type Plan = typeof plan extends fc.Arbitrary<infer A> ? A : never

const [loginPart, refreshPart] = [
  (text: string) => Number(text.split(".")[0]),
  (text: string) => Number(text.split(".")[1]),
]

/** What is true of one account, as those who cannot be mistaken see it. */
class Truth {
  /** How often the refresh token of each login was replaced. */
  readonly rotations: Array<number> = []
  /** The refreshes that the provider is dealing with. */
  readonly atWork = new Set<number>()
  /** The logins of which an answer was lost: these may be lost, too. */
  readonly lost = new Set<number>()
  readonly violations: Array<string> = []
  /** The login that is stored, if one is. */
  stored: number | undefined
  readonly written = new Set<number>()
  readonly answers: Array<Plan["answers"][number]>
  /** How long the store takes, the next time. */
  readonly pause: Effect.Effect<void>

  constructor({ answers, pauses }: Pick<Plan, "answers" | "pauses">) {
    this.answers = [...answers]
    let next = 0
    this.pause = Effect.suspend(() => yields(pauses[next++ % pauses.length] ?? 0))
  }

  complain(violation: string): void {
    this.violations.push(violation)
  }
}

const refreshTokenOf = ({ token }: AccountRecord.AccountRecord) =>
  token.refreshToken === undefined ? undefined : Redacted.value(token.refreshToken)

/** Looks at each record that is written. */
const inspect = (truth: Truth, record: AccountRecord.AccountRecord) => {
  const refreshToken = refreshTokenOf(record)
  const { history } = record
  if (refreshToken === undefined) {
    if (truth.stored !== undefined) truth.complain("a token from elsewhere took the place of a login")
    return
  }
  const login = loginPart(refreshToken)
  const isNew = history.epoch === 0 && !truth.written.has(login)
  if (isNew) truth.written.add(login)
  else if (truth.stored === undefined) truth.complain(`login ${login} came back after it was forgotten`)
  else if (truth.stored !== login) truth.complain(`login ${truth.stored} was replaced by a refresh of ${login}`)
  truth.stored = login
}

/** The store, looked at, and taking its time. */
const watched = (truths: ReadonlyMap<string, Truth>) =>
  Layer.effect(
    TokenStore,
    Effect.map(TokenStore, (store) => {
      const slowly = <A, E>(account: AccountKey, work: Effect.Effect<A, E>, then: (truth: Truth) => void) => {
        const truth = truths.get(account.provider)
        if (truth === undefined) return work
        const done = Effect.tap(work, () => Effect.sync(() => then(truth)))
        return truth.pause.pipe(Effect.andThen(done), Effect.tap(truth.pause))
      }
      return TokenStore.of({
        ...store,
        get: (account) => slowly(account, store.get(account), () => {}),
        set: (account, record) => slowly(account, store.set(account, record), (truth) => inspect(truth, record)),
        remove: (account) =>
          slowly(account, store.remove(account), (truth) => {
            truth.stored = undefined
          }),
      })
    }),
  )

/** Tokens that are called so, and live for a second. */
const tokens = (name: string, now: DateTime.Utc) => ({
  accessToken: Redacted.make(name),
  refreshToken: Redacted.make(name),
  expiresAt: DateTime.addDuration(now, Duration.seconds(1)),
  tokenType: "bearer",
  extras: Redacted.make({}),
})

/** What the providers do: each account has one of its own. */
const clientOf = (truths: ReadonlyMap<string, Truth>) => {
  const truthOf = ({ name }: Provider) => Option.getOrThrow(Option.fromUndefinedOr(truths.get(name)))
  const redeem = Effect.fnUntraced(function* (provider: Provider, sent: Redacted.Redacted) {
    const seen = truthOf(provider)
    const fail = (reason: Reason) => new ProviderFailure({ provider: provider.name, reason })
    const { how, takes } = seen.answers.shift() ?? { how: "well", takes: { millis: 0, turns: 1 } }
    const [login, rotation] = [loginPart(Redacted.value(sent)), refreshPart(Redacted.value(sent))]
    if (seen.atWork.has(login)) seen.complain(`login ${login} was refreshed twice at the same time`)
    seen.atWork.add(login)
    yield* wait(takes)
    seen.atWork.delete(login)
    if (how === "trouble") return yield* fail(Reason.Transient({ what: "server-error" }))
    if (how === "refuses") return yield* fail(Reason.ReloginNeeded())
    if (how === "puts off") return yield* fail(Reason.RateLimited({ retryAfter: Option.some(Duration.seconds(2)) }))
    if (rotation !== seen.rotations[login]) {
      if (!seen.lost.has(login)) seen.complain(`the refresh token ${Redacted.value(sent)} was used again`)
      return yield* fail(Reason.ReloginNeeded())
    }
    seen.rotations[login] = rotation + 1
    if (how === "loses") {
      seen.lost.add(login)
      return yield* fail(Reason.Transient({ what: "connection-lost" }))
    }
    return tokens(`${login}.${rotation + 1}`, yield* DateTime.now)
  })
  return Layer.mock(OAuthClient, {
    beginCode: (provider) =>
      Effect.succeed({
        granter: granterOf(provider),
        authorizationUrl: "https://id.example/",
        state: Redacted.make("state"),
        issuer: "https://id.example",
        redeem: () =>
          Effect.suspend(() => {
            const { rotations } = truthOf(provider)
            rotations.push(0)
            return Effect.map(DateTime.now, (now) => tokens(`${rotations.length - 1}.0`, now))
          }),
      }),
    beginRefresh: (provider) =>
      Effect.succeed({ granter: granterOf(provider), redeem: (sent) => redeem(provider, sent) }),
    beginRevocation: () => Effect.succeedNone,
  })
}

const record: ProviderRecord = {
  issuer: "https://id.example",
  clientId: "c",
  scopes: [],
  flows: ["pkce_redirect"],
  redirectUris: ["https://app.example/cb"],
  publicFields: [],
}

const providerOf = (name: string) => Effect.succeed({ ...record, name, secret: Option.none() })

const providers = Layer.mock(Providers, {
  get: providerOf,
  prepare: providerOf,
  settle: () => Effect.void,
  record: () => Effect.succeed(record),
  glance: () => Option.some(record),
})

/** One process: the host's own broker. */
const layerProcess = (client: Layer.Layer<OAuthClient>) =>
  BrokerHost.layerNoDeps.pipe(
    Layer.provide([Refresher.layer, Revoker.layer]),
    Layer.provide(Accounts.layer),
    Layer.provide([Sessions.layer, client, Layer.mock(LoopbackListener, {}), Layer.mock(ApiKeys, {}), providers]),
    Layer.provide([SecureRandom.layerWebCrypto, layerDigest]),
    Layer.fresh,
  )

/** Plays plans, all at the same time and each on an account of its own. Fails with the first that goes wrong. */
export const makePlayer = Effect.fnUntraced(function* <E>(
  places: Layer.Layer<TokenStore | AccountLock | BrokerConfig, E>,
) {
  const truths = new Map<string, Truth>()
  const shared = yield* Layer.build(watched(truths).pipe(Layer.provideMerge(places), Layer.fresh))
  const store = yield* Effect.provideContext(TokenStore, shared)
  const layer = layerProcess(clientOf(truths)).pipe(Layer.provide(Layer.succeedContext(shared)))
  const start = Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(Broker, context))
  const processes = [yield* start, yield* start] as const

  const act = Effect.fnUntraced(function* (account: AccountKey, what: Plan["steps"][number]["what"], by: number) {
    const broker = processes[by] ?? processes[0]
    switch (what) {
      case "login": {
        const { sessionId } = yield* broker.initiate(account)
        return yield* broker.exchange(sessionId, Redacted.make("code"))
      }
      case "logout":
        return yield* broker.removeToken(account)
      case "save":
        return yield* broker.saveToken(account, { accessToken: Redacted.make("9"), tokenType: "bearer", extras: {} })
      case "get":
        return yield* Effect.exit(broker.getToken(account))
      case "refresh":
        return yield* Effect.exit(broker.refreshToken(account))
    }
  })

  const playOne = Effect.fnUntraced(function* (plan: Plan) {
    const truth = new Truth(plan)
    const account = Account.make(`provider${truths.size}`)
    truths.set(account.provider, truth)
    const now = yield* DateTime.now
    truth.rotations.push(0)
    yield* store.set(account, AccountRecord.fromLogin(tokens("0.0", now), now))
    const begun = yield* Effect.forEach(plan.steps, ({ by, start, what }) =>
      Effect.map(Effect.forkChild(Effect.andThen(wait(start), act(account, what, by))), (fiber) => ({ fiber, what })),
    )
    for (const { fiber, what } of begun) if (what !== "refresh" && what !== "get") yield* Fiber.join(fiber)
    if (plan.last !== "nothing") yield* act(account, plan.last, plan.lastBy)
    for (const { fiber } of begun) yield* Fiber.join(fiber)

    assert.deepStrictEqual(truth.violations, [])
    const found = yield* store.get(account)
    const kept = Option.getOrUndefined(Option.map(found, refreshTokenOf))
    if (plan.last === "logout") assert.isTrue(Option.isNone(found), "there is a token after the logout")
    if (plan.last === "login") {
      assert.strictEqual(loginPart(kept ?? ""), truth.rotations.length - 1, "the last login is not there")
    }
    if (kept !== undefined && !truth.lost.has(loginPart(kept))) {
      assert.strictEqual(refreshPart(kept), truth.rotations[loginPart(kept)], "a spent token is kept")
    }
    yield* store.remove(account)
  })

  return Effect.fnUntraced(function* (plans: ReadonlyArray<Plan>) {
    const playing = yield* Effect.forEach(plans, (plan) =>
      playOne(plan).pipe(
        Effect.catchCause((cause) => Effect.die(new Error(`${Cause.pretty(cause)}\nof ${JSON.stringify(plan)}`))),
        Effect.forkChild,
      ),
    )
    const end = yield* Effect.forkChild(Effect.forEach(playing, (fiber) => Fiber.join(fiber)))
    while (end.pollUnsafe() === undefined) {
      yield* yields(50)
      yield* TestClock.adjust("5 seconds")
    }
    yield* Fiber.join(end)
  })
})
