import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import { AccountPatternFromString, matches, matchesAccount } from "../../src/domain/NamePattern.ts"

/** What `*` means, said in another way. */
const byRegex = (pattern: string, name: string): boolean =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("[^]*")}$`,
    "u",
  ).test(name)

/** Few letters, so that pieces come again and overlap. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "*", ":", "%", ".", "é"), maxLength: 12 })
const letters = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 16 })

const decode = Schema.decodeSync(AccountPatternFromString)
const encode = Schema.encodeSync(AccountPatternFromString)

describe("a pattern", () => {
  it("means what the same regular expression means", () => {
    fc.assert(
      fc.property(text, fc.oneof(text, letters), (pattern, name) => {
        assert.strictEqual(matches(pattern, name), byRegex(pattern, name))
      }),
      { numRuns: 2000 },
    )
  })

  it("means the names that are made from it", () => {
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 5 }), letters, (pieces, filling) => {
        assert.isTrue(matches(pieces.join("*"), pieces.join(filling)))
      }),
    )
  })

  it("of an address means hosts by their host, whatever comes after it", () => {
    for (const [pattern, provider, expected] of [
      ["https://*.corp.example/*", "https://mcp.corp.example/a/b", true],
      ["https://*.corp.example/*", "https://evil.example/x.corp.example/y", false],
      ["https://*.corp.example/*", "https://evil.example?.corp.example/y", false],
      ["https://mcp*/sse", "https://mcp.example/x/sse", false],
      ["https://mcp*/*sse", "https://mcp.example/x/sse", true],
      ["https://mcp.example/*", "http://mcp.example/", false],
      ["https://*", "https://any.example/x", true],
      ["*", "https://any.example/x", true],
    ] as const) {
      const account = Account.make(provider)
      assert.strictEqual(matchesAccount(decode(pattern), account), expected, `${pattern} ${provider}`)
    }
  })

  it("without a star is one name; a star is any, and none too", () => {
    for (const [pattern, name, expected] of [
      ["a", "a", true],
      ["a", "aa", false],
      ["*", "", true],
      ["*", "anything:%*", true],
      ["**", "x", true],
      ["a*", "a", true],
      ["*a", "ba", true],
      ["a*a", "a", false],
      ["a*a", "aa", true],
      ["a*b*c", "a-b-b-c", true],
      ["a*b*c", "acb", false],
      ["ab*bc", "abc", false],
      ["A", "a", false],
      ["a.c", "abc", false],
      ["", "", true],
      ["", "a", false],
    ] as const) {
      assert.strictEqual(matches(pattern, name), expected, `${pattern} ${name}`)
    }
  })

  it("is fast, whatever it is held against", () => {
    const begun = performance.now()
    assert.isFalse(matches(`${"a*".repeat(100)}b`, "a".repeat(200)))
    assert.isBelow(performance.now() - begun, 100)
  })
})

describe("a pattern for accounts", () => {
  const means = (pattern: string, provider: string, bucket?: string) =>
    matchesAccount(decode(pattern), Account.make(provider, bucket))

  it("is an account in which stars are wild", () => {
    for (const [pattern, provider, bucket, expected] of [
      ["github", "github", undefined, true],
      ["github", "github", "work", false],
      ["github:work", "github", "work", true],
      ["github:*", "github", undefined, true],
      ["github:*", "github", "a:b%*", true],
      ["*", "anything", "at all", true],
      ["*:work", "github", "work", true],
      ["*:work", "github", undefined, false],
      ["git*:w*", "gitlab", "work", true],
      ["git*", "gitlab", undefined, true],
      ["a%3Ab:c", "a:b", "c", true],
      ["a%3Ab:c", "a", "b:c", false],
      ["a:b:c", "a", "b:c", true],
      ["100%25", "100%", undefined, true],
    ] as const) {
      assert.strictEqual(means(pattern, provider, bucket), expected, `${pattern} ${provider} ${bucket}`)
    }
  })

  it("is written as it is read, and means an account by its own text", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", "*", ":", "%", "3", "A"),
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(name, name, (provider, bucket) => {
        const pattern = decode(Account.textOf(provider, bucket))
        assert.isTrue(matchesAccount(pattern, Account.make(provider, bucket)))
        const again = decode(encode(pattern))
        assert.deepStrictEqual([again.provider, again.bucket], [pattern.provider, pattern.bucket])
      }),
    )
  })

  it("is no empty text, and no control character", () => {
    for (const pattern of ["", ":", "a:", ":a", "a\u001b", "a:\n"]) assert.throws(() => decode(pattern))
  })
})
