/**
 * What every token store must do, whatever it is made of.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, type Layer, Option, PubSub, Redacted } from "effect"
import * as fc from "fast-check"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"
import { inClear, recordInClear, recordOf } from "../support/Records.ts"

const awkward = [
  "a/b",
  "..",
  ".",
  "a:b",
  "A",
  "a",
  "ключ",
  "🔑",
  "x".repeat(200),
  "🔑".repeat(100),
  "%2e%2e",
  "con",
  " ",
]

export const suite = <E>(name: string, layer: Layer.Layer<TokenStore, E>) =>
  describe(`a token store ${name}`, () => {
    it.live("has no token before one is set, and none after it is removed", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const account = Account.make("github")
        assert.isTrue(Option.isNone(yield* store.get(account)))
        yield* store.set(account, recordOf("one"))
        assert.isTrue(Option.isSome(yield* store.get(account)))
        yield* store.remove(account)
        assert.isTrue(Option.isNone(yield* store.get(account)))
        yield* store.remove(account)
      }).pipe(Effect.provide(layer)),
    )

    it.live("returns what was set last, field by field", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const account = Account.make("github", "work")
        yield* store.set(account, recordOf("one"))
        yield* store.set(account, recordOf("two"))
        const found = Option.getOrThrow(yield* store.get(account))
        assert.deepStrictEqual(recordInClear(found), recordInClear(recordOf("two")))
        const { token, ...rest } = recordOf("bare")
        const { accessToken, extras, tokenType } = token
        yield* store.set(account, { ...rest, token: { accessToken, tokenType, extras } })
        const { token: bare } = Option.getOrThrow(yield* store.get(account))
        assert.notProperty(bare, "refreshToken")
        assert.notProperty(bare, "expiresAt")
        assert.notProperty(bare, "scope")
      }).pipe(Effect.provide(layer)),
    )

    it.live("returns the whole record, however refreshing went", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const account = Account.make("github")
        const records = fc.sample(Arbitrary.record, 50)
        const standings = new Set(records.map(({ history }) => history.standing._tag))
        assert.strictEqual(standings.size, 4)
        for (const record of records) {
          yield* store.set(account, record)
          const found = Option.getOrThrow(yield* store.get(account))
          assert.deepStrictEqual(recordInClear(found), recordInClear(record))
          assert.isTrue(Equal.equals(found.history, record.history))
        }
      }).pipe(Effect.provide(layer)),
    )

    it.live("tells at once, and everybody who asks, what was set or removed here", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const [one, two] = [Account.make("github"), Account.make("github", "two")]
        yield* store.set(one, recordOf("before anybody asks"))
        const subscriptions = [yield* store.changes, yield* store.changes]
        yield* store.get(one)
        yield* store.list
        for (const subscription of subscriptions) assert.strictEqual(yield* PubSub.remaining(subscription), 0)
        yield* store.set(two, recordOf("two"))
        yield* store.remove(one)
        for (const subscription of subscriptions)
          assert.deepStrictEqual(yield* PubSub.takeAll(subscription), [two, one])
      }).pipe(Effect.provide(layer)),
    )

    it.live("has nothing left by a writer that died, where no writer did", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const account = Account.make("github")
        yield* store.set(account, recordOf("one"))
        assert.deepStrictEqual(yield* store.interrupted(account), [])
        assert.deepStrictEqual(yield* store.interrupted(Account.make("nobody")), [])
      }).pipe(Effect.provide(layer)),
    )

    it.live("keeps accounts apart, however they are called", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const accounts = awkward.flatMap((provider) => awkward.map((bucket) => Account.make(provider, bucket)))
        yield* Effect.forEach(accounts, (account, i) => store.set(account, recordOf(String(i))), { concurrency: 8 })
        for (const [i, account] of accounts.entries()) {
          const found = Option.getOrThrow(yield* store.get(account))
          assert.strictEqual(Redacted.value(found.token.accessToken), `access-${i}`)
        }
        const listed = (yield* store.list).map(String)
        assert.sameMembers(listed, accounts.map(String))
        assert.strictEqual(new Set(listed).size, accounts.length)
      }).pipe(Effect.provide(layer)),
    )

    it.live("lists nothing when nobody is logged in", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        assert.deepStrictEqual(yield* store.list, [])
      }).pipe(Effect.provide(layer)),
    )

    it.live("holds one whole token after many concurrent writes", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const account = Account.make("github")
        const names = Array.from({ length: 40 }, (_, i) => String(i))
        yield* Effect.forEach(names, (name) => store.set(account, recordOf(name)), { concurrency: "unbounded" })
        const found = Option.getOrThrow(yield* store.get(account))
        const name = inClear(found.token).accessToken.replace("access-", "")
        assert.deepStrictEqual(recordInClear(found), recordInClear(recordOf(name)))
      }).pipe(Effect.provide(layer)),
    )
  })
