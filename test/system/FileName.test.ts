import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Digest } from "effect/crypto"
import * as fc from "fast-check"
import * as FileName from "../../src/system/FileName.ts"
import { anyText } from "../support/AnyText.ts"

const encode = (name: string) => Effect.provide(FileName.encode(name), Digest.layerWebCrypto)
const encodeAll = (names: ReadonlyArray<string>) => Effect.forEach(names, encode)

/** Well-formed names of 1 to 200 characters, among them many that are nearly the same. */
const name = fc
  .oneof(
    anyText({ minLength: 1, maxLength: 200 }),
    fc.string({ unit: fc.constantFrom("a", "A", ".", "/", ":", "%", "~", "2", "é"), minLength: 1, maxLength: 4 }),
    fc.string({ unit: fc.constantFrom("é", "É"), minLength: 1, maxLength: 3 }).map((end) => "é".repeat(100) + end),
  )
  .filter((text) => text.length <= 200)

describe("the file name of an account", () => {
  for (const [text, fileName] of [
    ["github", "github"],
    ["my_account-2", "my_account-2"],
    ["Work", "%57ork"],
    [".", "%2e"],
    ["..", "%2e%2e"],
    ["a.json", "a%2ejson"],
    ["../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"],
    ["a/b", "a%2fb"],
    ["a\\b", "a%5cb"],
    ["a:b", "a%3ab"],
    ["a b", "a%20b"],
    ["100%", "100%25"],
    ["%2e", "%252e"],
    ["~", "%7e"],
    ["é", "%c3%a9"],
    ["e\u0301", "e%cc%81"],
    ["👍", "%f0%9f%91%8d"],
  ] as const) {
    it.effect(`is ${fileName} for ${text}, and says that name again`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* encode(text), fileName)
        assert.deepStrictEqual(FileName.decode(fileName), { name: text })
      }),
    )
  }

  it("is short and of safe characters for any name, and says that name again unless it was hashed", () =>
    fc.assert(
      fc.asyncProperty(name, async (text) => {
        const fileName = await Effect.runPromise(encode(text))
        assert.match(fileName, /^[a-z0-9_%~-]{1,200}$/)
        const expected = fileName.includes("~") ? "too long to tell" : { name: text }
        assert.deepStrictEqual(FileName.decode(fileName), expected)
      }),
    ))

  it("is another one for another name", () =>
    fc.assert(
      fc.asyncProperty(name, name, async (one, other) => {
        const [first, second] = await Effect.runPromise(encodeAll([one, other]))
        assert.strictEqual(first === second, one === other)
      }),
      { numRuns: 500 },
    ))

  it.effect("keeps apart names that some file systems take for the same", () =>
    Effect.gen(function* () {
      const names = ["work", "Work", "WORK", "é", "e\u0301", "É", "a", "a.", "a ", "~a", "%7ea"]
      assert.strictEqual(new Set(yield* encodeAll(names)).size, names.length)
    }),
  )

  it.effect("keeps apart long names that differ only at their ends", () =>
    Effect.gen(function* () {
      const [one, other] = yield* encodeAll([`${"x".repeat(199)}1`, `${"x".repeat(199)}2`])
      assert.notStrictEqual(one, other)
      assert.strictEqual(one?.slice(0, 101), other?.slice(0, 101))
    }),
  )

  it.effect("is hashed from 181 bytes on, and keeps its beginning", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* encode("a".repeat(180)), "a".repeat(180))
      assert.strictEqual(yield* encode("é".repeat(30)), "%c3%a9".repeat(30))
      assert.match(yield* encode("a".repeat(181)), /^a{100}~[0-9a-f]{64}$/)
      assert.match(yield* encode("é".repeat(31)), /^(%c3%a9){16}%c3%~[0-9a-f]{64}$/)
    }),
  )

  it.effect("does not say the name that was hashed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(FileName.decode(yield* encode("a".repeat(181))), "too long to tell")
    }),
  )

  for (const broken of [
    "%",
    "%zz",
    "%ff",
    "%c3",
    "",
    "My Notes",
    "DEFAULT",
    "._default",
    "%2E",
    "%61",
    "x~y",
    ".git",
  ]) {
    it(`does not say a name for ${broken}, which is not one of ours`, () => {
      assert.strictEqual(FileName.decode(broken), "not ours")
    })
  }
})
