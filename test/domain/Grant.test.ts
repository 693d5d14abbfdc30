import { assert, describe, it } from "@effect/vitest"
import { DateTime, Option, Schema } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Grant from "../../src/domain/Grant.ts"
import { inWords, wishInWords } from "../../src/domain/Question.ts"
import { termsOf } from "../support/Granting.ts"

const on = (permission: Grant.Permission, provider: string, bucket?: string): Grant.Wish => ({
  _tag: "Account",
  permission,
  account: Account.make(provider, bucket),
})
const key = (name: string): Grant.Wish => ({ _tag: "ApiKey", name })

describe("the terms of a grant", () => {
  const terms = termsOf({ accounts: ["github:*", "anthropic"], permissions: ["get_token"], keys: ["openai", "test-*"] })

  it("permit what they name, and nothing beside", () => {
    for (const [wish, expected] of [
      [on("get_token", "github"), true],
      [on("get_token", "github", "work"), true],
      [on("refresh_token", "github", "work"), false],
      [on("login", "github", "work"), false],
      [on("get_token", "anthropic"), true],
      [on("get_token", "anthropic", "work"), false],
      [on("get_token", "*", "*"), false],
      [key("openai"), true],
      [key("test-1"), true],
      [key("prod"), false],
      [key("github"), false],
    ] as const) {
      assert.strictEqual(Grant.permits(terms, wish), expected, wishInWords(wish))
    }
    assert.isFalse(Grant.permits(termsOf({ accounts: [] }), on("get_token", "github")))
  })

  it("show the accounts on which anything is granted", () => {
    assert.isTrue(Grant.sees(terms, Account.make("github", "any")))
    assert.isFalse(Grant.sees(terms, Account.make("anthropic", "work")))
    assert.isTrue(Grant.seesProvider(terms, "anthropic"))
    assert.isFalse(Grant.seesProvider(terms, "gitlab"))
    const more = Grant.approve(terms, on("login", "gitlab", "work"))
    assert.isTrue(Grant.sees(more, Account.make("gitlab", "work")) && Grant.seesProvider(more, "gitlab"))
    assert.isFalse(Grant.sees(more, Account.make("gitlab")))
  })

  it("permit besides what a person allowed, that and no more", () => {
    const wish = on("remove_token", "github", "work")
    const more = Grant.approve(terms, wish)
    assert.isTrue(Grant.permits(more, wish))
    assert.isFalse(Grant.permits(more, on("remove_token", "github")))
    assert.isFalse(Grant.permits(more, on("save_token", "github", "work")))
    assert.strictEqual(Grant.approve(more, on("remove_token", "github", "work")), more)
    assert.strictEqual(Grant.approve(terms, on("get_token", "github")), terms)
    // A name with a star in it is a name.
    const starred = Grant.approve(terms, key("*"))
    assert.isTrue(Grant.permits(starred, key("*")))
    assert.isFalse(Grant.permits(starred, key("prod")))
  })

  it("are over at their time, and with their last use", () => {
    const until = termsOf({ expiresAt: DateTime.makeUnsafe(1000) })
    assert.deepStrictEqual(
      [999, 1000, 1001].map((now) => Grant.isOver(until, now)),
      [false, true, true],
    )
    assert.isFalse(Grant.isOver(termsOf({ usesLeft: 1 }), 0))
    assert.isTrue(Grant.isOver(termsOf({ usesLeft: 0 }), 0))
    assert.isFalse(Grant.isOver(termsOf(), Number.MAX_SAFE_INTEGER))
  })

  it("admit the users that they name; where it is not known who it is, only if anybody may", () => {
    const some = termsOf({ uids: [1000, 1001] })
    assert.isTrue(Grant.admits(some, Option.some(1001)))
    assert.isFalse(Grant.admits(some, Option.some(1002)))
    assert.isFalse(Grant.admits(some, Option.some(0)))
    assert.isFalse(Grant.admits(some, Option.none()))
    assert.isTrue(Grant.admits(termsOf({ uids: "any" }), Option.none()))
  })

  it("count uses where there are so many, and never below none", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.array(fc.constantFrom(1 as const, -1 as const)), (start, changes) => {
        const counted = changes.reduce(Grant.countUses, termsOf({ usesLeft: start }))
        const expected = changes.reduce<number>((left, change) => Math.max(0, left + change), start)
        assert.strictEqual(counted.usesLeft, expected)
        assert.notProperty(changes.reduce(Grant.countUses, termsOf()), "usesLeft")
      }),
    )
  })

  it("are read as they were written", () => {
    const codec = Schema.fromJsonString(Grant.Terms)
    const full = Grant.approve(
      termsOf({ ...terms, accounts: ["a%3Ab:*", "*"], expiresAt: DateTime.makeUnsafe(1e12), usesLeft: 3, uids: "any" }),
      on("login", "x:y", "a:b"),
    )
    const text = Schema.encodeSync(codec)(full)
    assert.deepStrictEqual(Schema.decodeSync(codec)(text), full)
    assert.include(text, `"a%3Ab:*"`)
  })

  it("have a label of one printable line", () => {
    const isLabel = Schema.is(Grant.Label)
    for (const label of ["", "a\nb", "a\u001b[31m", "a\u202eb", "\u2028", "x".repeat(101)]) {
      assert.isFalse(isLabel(label), JSON.stringify(label))
    }
    for (const label of ["agents", "my sandbox, No. 2", "日本"]) assert.isTrue(isLabel(label), label)
  })
})

describe("a question", () => {
  const ask = (label: string, wish: Grant.Wish) =>
    inWords({ id: "0000", grant: "00000000", label, wish, askedAt: DateTime.makeUnsafe(0) })

  it("is one line that says who wants what", () => {
    assert.strictEqual(
      ask("sandbox 1", on("get_token", "github", "work")),
      "sandbox 1 asks for get_token of github:work",
    )
    assert.strictEqual(ask("sandbox 1", key("openai")), "sandbox 1 asks for the API key openai")
  })

  it("moves no cursor and hides nothing, whatever a sandbox asks for", () => {
    const nasty = fc.string({
      unit: fc.constantFrom("a", "\u009b", "\u202e", "\u200b", "\u2028", "\ufeff", "\u{e0001}", "é"),
      minLength: 1,
      maxLength: 199,
    })
    const name = fc.string({
      unit: fc.constantFrom("a", "\u202e", "\u200b", "\u2028", "\ufeff", "\u{e0001}"),
      minLength: 1,
      maxLength: 90,
    })
    fc.assert(
      fc.property(name, name, nasty, (provider, bucket, secret) => {
        for (const words of [ask("s", on("login", provider, bucket)), ask("s", key(secret))]) {
          assert.notMatch(words, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
          assert.isAtMost(words.length, 300)
        }
      }),
    )
  })
})
