/**
 * What every token store must do, whatever it is made of.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, type Layer, Option, Redacted } from "effect"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { StoredToken } from "../../src/domain/Token.ts"

export const tokenOf = (name: string): StoredToken => ({
  accessToken: Redacted.make(`access-${name}`),
  refreshToken: Redacted.make(`refresh-${name}`),
  expiresAt: DateTime.makeUnsafe("2030-01-01T00:00:00Z"),
  scope: "openid offline_access",
  tokenType: "bearer",
  extras: Redacted.make({ account_id: name, nested: { list: [1, null, "x"] } }),
})

/** What of a token can be compared. */
export const inClear = (token: StoredToken) => ({
  ...token,
  accessToken: Redacted.value(token.accessToken),
  refreshToken: token.refreshToken === undefined ? undefined : Redacted.value(token.refreshToken),
  expiresAt: token.expiresAt === undefined ? undefined : DateTime.formatIso(token.expiresAt),
  extras: Redacted.value(token.extras),
})

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
        yield* store.set(account, tokenOf("one"))
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
        yield* store.set(account, tokenOf("one"))
        yield* store.set(account, tokenOf("two"))
        const found = Option.getOrThrow(yield* store.get(account))
        assert.deepStrictEqual(inClear(found), inClear(tokenOf("two")))
        const { accessToken, extras, tokenType } = tokenOf("bare")
        yield* store.set(account, { accessToken, tokenType, extras })
        const bare = Option.getOrThrow(yield* store.get(account))
        assert.notProperty(bare, "refreshToken")
        assert.notProperty(bare, "expiresAt")
        assert.notProperty(bare, "scope")
      }).pipe(Effect.provide(layer)),
    )

    it.live("keeps accounts apart, however they are called", () =>
      Effect.gen(function* () {
        const store = yield* TokenStore
        const accounts = awkward.flatMap((provider) => awkward.map((bucket) => Account.make(provider, bucket)))
        yield* Effect.forEach(accounts, (account, i) => store.set(account, tokenOf(String(i))), { concurrency: 8 })
        for (const [i, account] of accounts.entries()) {
          const found = Option.getOrThrow(yield* store.get(account))
          assert.strictEqual(Redacted.value(found.accessToken), `access-${i}`)
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
        yield* Effect.forEach(names, (name) => store.set(account, tokenOf(name)), { concurrency: "unbounded" })
        const found = inClear(Option.getOrThrow(yield* store.get(account)))
        const name = found.accessToken.replace("access-", "")
        assert.deepStrictEqual(found, inClear(tokenOf(name)))
      }).pipe(Effect.provide(layer)),
    )
  })
