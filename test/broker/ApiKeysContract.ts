/**
 * What every store of API keys must do, whatever it is made of.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option, Redacted } from "effect"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { longest } from "../../src/domain/ApiKey.ts"

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
  "%2e",
  "__proto__",
  " ",
]

/** The key in clear, or undefined if there is none. */
export const inClear = (key: Option.Option<Redacted.Redacted>) =>
  Option.getOrUndefined(Option.map(key, (found) => Redacted.value(found)))

export const suite = <E>(name: string, layer: Layer.Layer<ApiKeys, E>) =>
  describe(`API keys ${name}`, () => {
    it.live("are there from when they are set until they are removed", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        assert.isTrue(Option.isNone(yield* keys.get("hub")))
        assert.deepStrictEqual(yield* keys.list, [])
        yield* keys.set("hub", Redacted.make("one"))
        yield* keys.set("hub", Redacted.make("two"))
        assert.strictEqual(inClear(yield* keys.get("hub")), "two")
        assert.deepStrictEqual(yield* keys.list, ["hub"])
        yield* keys.remove("hub")
        yield* keys.remove("hub")
        assert.isTrue(Option.isNone(yield* keys.get("hub")))
        assert.deepStrictEqual(yield* keys.list, [])
      }).pipe(Effect.provide(layer)),
    )

    it.live("are kept apart, however they are called", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        yield* Effect.forEach(awkward, (name, i) => keys.set(name, Redacted.make(`key-${i}`)), { concurrency: 8 })
        for (const [i, name] of awkward.entries()) assert.strictEqual(inClear(yield* keys.get(name)), `key-${i}`)
        assert.sameMembers([...(yield* keys.list)], awkward)
      }).pipe(Effect.provide(layer)),
    )

    it.live("may be as long, and hold what a header may hold", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join("")
        for (const text of [`${printable} ${printable}`, "x", '"'.repeat(longest)]) {
          yield* keys.set("hub", Redacted.make(text))
          assert.strictEqual(inClear(yield* keys.get("hub")), text)
        }
      }).pipe(Effect.provide(layer)),
    )

    it.live("hold one whole key after many concurrent writes", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const texts = Array.from({ length: 20 }, (_, i) => `${i}-`.repeat(1000).slice(0, -1))
        yield* Effect.forEach(texts, (text) => keys.set("hub", Redacted.make(text)), { concurrency: "unbounded" })
        assert.include(texts, inClear(yield* keys.get("hub")))
      }).pipe(Effect.provide(layer)),
    )
  })
