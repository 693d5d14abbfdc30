/**
 * API keys and statistics as peers with all rights, and with some, may ask for them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Usage } from "../../src/broker/Usage.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Forbidden } from "../../src/domain/Errors.ts"
import type { Wish } from "../../src/domain/Grant.ts"
import * as Handlers from "../../src/server/Handlers.ts"
import * as Rights from "../../src/server/Rights.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { tagOf } from "../support/tagOf.ts"

const host = Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([provider]))).pipe(
  Layer.provide(BrokerConfig.layer("/nowhere")),
  Layer.provide(ScriptedProvider.layer()),
)

/** May read the key `mine` and what goes with it, and the account `scripted:mine`. */
const isMine = (wish: Wish) => (wish._tag === "ApiKey" ? wish.name : wish.account.bucket) === "mine"

/** Rights to that, and what was counted as handed out. */
const restricted = (counted: Array<boolean> = []): Rights.Rights => ({
  ...Rights.everything,
  isRestricted: true,
  mayNow: isMine,
  demand: (wish) => (isMine(wish) ? Rights.everything.demand(wish) : Effect.fail(Forbidden.make({}))),
  sees: ({ bucket }) => bucket === "mine",
  seesApiKey: (name) => name === "mine",
  counted: (work, hasHandedOut) => Effect.tap(work, (result) => Effect.sync(() => counted.push(hasHandedOut(result)))),
})

/** Asks as a peer with such rights. */
const peer = (rights: Rights.Rights) =>
  Effect.map(Handlers.make(), ({ answer, atHand }) => ({
    ask: (op: string, payload: unknown = {}) => Effect.scoped(answer(op, payload, rights)),
    atHand: (op: string, payload = {}) => atHand(op, payload, rights),
  }))

const withKeys = Effect.gen(function* () {
  const keys = yield* ApiKeys
  for (const name of ["mine", "other"]) yield* keys.set(name, Redacted.make(`sk-${name}`))
})

const loggedIn = Effect.gen(function* () {
  const broker = yield* Broker
  for (const bucket of ["mine", "other"]) {
    yield* broker.saveToken(Account.make("scripted", bucket), {
      accessToken: Redacted.make(bucket),
      tokenType: "bearer",
      extras: {},
    })
  }
})

describe("API keys over a socket", () => {
  it.effect("are all there for a peer of the host's own", () =>
    Effect.gen(function* () {
      yield* withKeys
      const { ask } = yield* peer(Rights.everything)
      assert.deepStrictEqual(yield* ask("get_api_key", { name: "other" }), { key: "sk-other" })
      assert.deepStrictEqual(yield* ask("has_api_key", { name: "other" }), { exists: true })
      assert.deepStrictEqual(yield* ask("has_api_key", { name: "none" }), { exists: false })
      assert.deepStrictEqual(yield* ask("list_api_keys"), { keys: ["mine", "other"] })
      assert.strictEqual(yield* tagOf(ask("get_api_key", { name: "none" })), "ApiKeyNotFound")
    }).pipe(Effect.provide(host)),
  )

  it.effect("are granted one by one, and what is not granted looks as if it were not there", () =>
    Effect.gen(function* () {
      yield* withKeys
      const counted: Array<boolean> = []
      const { ask } = yield* peer(restricted(counted))
      assert.deepStrictEqual(yield* ask("get_api_key", { name: "mine" }), { key: "sk-mine" })
      assert.deepStrictEqual(yield* ask("has_api_key", { name: "mine" }), { exists: true })
      assert.deepStrictEqual(counted, [true])
      const absent = yield* Effect.flip(ask("get_api_key", { name: "none" }))
      const other = yield* Effect.flip(ask("get_api_key", { name: "other" }))
      assert.deepStrictEqual([absent, other], [Forbidden.make({}), Forbidden.make({})])
      assert.deepStrictEqual(yield* ask("has_api_key", { name: "other" }), { exists: false })
      assert.deepStrictEqual(yield* ask("list_api_keys"), { keys: ["mine"] })
      const keys = yield* ApiKeys
      yield* keys.remove("mine")
      assert.deepStrictEqual(yield* Effect.flip(ask("get_api_key", { name: "mine" })), Forbidden.make({}))
      assert.deepStrictEqual(counted, [true])
    }).pipe(Effect.provide(host)),
  )

  it.effect("cannot be written, and need a name", () =>
    Effect.gen(function* () {
      yield* withKeys
      const { ask } = yield* peer(Rights.everything)
      for (const op of ["set_api_key", "remove_api_key", "save_api_key"]) {
        assert.strictEqual(yield* tagOf(ask(op, { name: "mine", key: "x" })), "InvalidRequest")
      }
      for (const payload of [{}, { name: "" }, { name: 1 }, { name: "a\nb" }, { name: "x".repeat(201) }]) {
        assert.strictEqual(yield* tagOf(ask("get_api_key", payload)), "InvalidRequest")
        assert.strictEqual(yield* tagOf(ask("has_api_key", payload)), "InvalidRequest")
      }
    }).pipe(Effect.provide(host)),
  )
})

describe("statistics over a socket", () => {
  const mine = { provider: "scripted", bucket: "mine" }
  const other = { provider: "scripted", bucket: "other" }

  it.effect("count the requests that were answered with a token, however they were", () =>
    Effect.gen(function* () {
      yield* loggedIn
      yield* TestClock.adjust("60900 millis")
      const { ask, atHand } = yield* peer(Rights.everything)
      assert.deepStrictEqual(yield* ask("get_bucket_stats", mine), { bucket: "mine", requestCount: 0, percentage: 0 })
      assert.isUndefined(atHand("get_token", mine))
      yield* ask("get_token", mine)
      assert.isDefined(atHand("get_token", mine))
      yield* ask("get_token", other)
      yield* Effect.exit(ask("refresh_token", mine))
      yield* Effect.exit(ask("get_token", { provider: "scripted", bucket: "none" }))
      const broker = yield* Broker
      yield* broker.getToken(Account.make("scripted", "mine"))
      const { percentage, ...stats } = yield* ask("get_bucket_stats", mine)
      assert.deepStrictEqual(stats, { bucket: "mine", requestCount: 2, lastUsed: 60 })
      assert.closeTo(Number(percentage), 66.67, 0.01)
      assert.strictEqual(
        yield* tagOf(ask("get_bucket_stats", { provider: "scripted", bucket: "none" })),
        "TokenNotFound",
      )
      assert.strictEqual(yield* tagOf(ask("get_bucket_stats", { provider: "scripted" })), "InvalidRequest")
    }).pipe(Effect.provide(host)),
  )

  it.effect("tell whoever is held to a grant nothing of what is beyond it, not even how much there is", () =>
    Effect.gen(function* () {
      yield* loggedIn
      const usage = yield* Usage
      for (let i = 0; i < 9; i++) usage.count(Account.make("scripted", "other"))
      const { ask } = yield* peer(restricted())
      yield* ask("get_token", mine)
      const stats = yield* ask("get_bucket_stats", mine)
      assert.deepInclude(stats, { bucket: "mine", requestCount: 1, percentage: 100 })
      const absent = yield* Effect.flip(ask("get_bucket_stats", { provider: "none", bucket: "mine" }))
      const hidden = yield* Effect.flip(ask("get_bucket_stats", other))
      assert.deepStrictEqual([absent, hidden], [Forbidden.make({}), Forbidden.make({})])
    }).pipe(Effect.provide(host)),
  )
})
