import { assert, describe, it } from "@effect/vitest"
import { HashMap, Option, Schema } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import { anyText } from "../support/AnyText.ts"

const read = Schema.decodeUnknownOption(Account.AccountKeyFromString)
const write = Schema.encodeSync(Account.AccountKeyFromString)
const decode = Schema.decodeUnknownOption(Account.AccountKey)
const isName = Schema.is(Account.BucketName)

const name = fc
  .oneof(
    anyText({ minLength: 1, maxLength: 200 }),
    fc
      .array(fc.constantFrom("https://", "http://", "#", "x", "/", ":", "%", "default"), { minLength: 1 })
      .map((parts) => parts.join("")),
    fc
      .array(fc.constantFrom(":", "%", "%25", "%3A", "%3a", "2", "5", "3", "A", "default"), { minLength: 1 })
      .map((parts) => parts.join("")),
  )
  .filter(isName)

describe("AccountKey", () => {
  for (const [provider, bucket, text] of [
    ["github", "default", "github"],
    ["github", "work", "github:work"],
    ["github", "a:b", "github:a:b"],
    ["github", "50%3A", "github:50%3A"],
    ["https://x", "work", "https://x#work"],
    ["https://x/a:b%20c", "default", "https://x/a:b%20c"],
    ["http://127.0.0.1:8080/mcp", "a#b:c", "http://127.0.0.1:8080/mcp#a#b:c"],
    ["https://x#y", "work", "https%3A//x#y:work"],
    ["https%3A//x", "default", "https%253A//x"],
    ["ftp://x", "work", "ftp%3A//x:work"],
    ["50%", "default", "50%25"],
    ["%3A", "default", "%253A"],
  ] as const) {
    it(`writes provider ${provider} and bucket ${bucket} as ${text}, and reads it back`, () => {
      const key = Account.make(provider, bucket)
      assert.strictEqual(key.toString(), text)
      assert.strictEqual(write(key), text)
      assert.deepStrictEqual(read(text), Option.some(key))
    })
  }

  it("reads back whatever it writes", () => {
    fc.assert(
      fc.property(name, name, (provider, bucket) => {
        const key = Account.make(provider, bucket)
        assert.deepStrictEqual(read(write(key)), Option.some(key))
      }),
    )
  })

  for (const [typed, name] of [
    ["https://MCP.example", "https://mcp.example/"],
    ["HTTPS://mcp.example:443/mcp#frag", "https://mcp.example/mcp"],
    ["https://mcp.example/mcp/", "https://mcp.example/mcp/"],
    ["https://mcp.example/a b?x=1", "https://mcp.example/a%20b?x=1"],
    ["https://", "https://"],
    ["github", "github"],
  ] as const) {
    it(`calls ${typed} ${name}`, () => {
      assert.strictEqual(Account.canonicalName(typed), name)
      assert.strictEqual(Account.canonicalName(name), name)
    })
  }

  it("means the default bucket when none is named, or when it is named", () => {
    assert.strictEqual(Account.make("github").bucket, "default")
    assert.deepStrictEqual(read("github:default"), read("github"))
  })

  it("reads escapes in either case, and leaves other percent signs alone", () => {
    assert.deepStrictEqual(read("a%3ab"), Option.some(Account.make("a:b")))
    assert.deepStrictEqual(read("a%41%"), Option.some(Account.make("a%41%")))
  })

  for (const text of ["", ":", ":work", "github:"]) {
    it(`does not read ${JSON.stringify(text)}, in which a name is missing`, () => {
      assert.isTrue(Option.isNone(read(text)))
    })
  }

  it("is equal to another key with the same names, also as the key of a map", () => {
    const map = HashMap.make([Account.make("github", "work"), 1])
    assert.deepStrictEqual(HashMap.get(map, Account.make("github", "work")), Option.some(1))
    assert.isTrue(Option.isNone(HashMap.get(map, Account.make("github", "Work"))))
    assert.isTrue(Option.isNone(HashMap.get(map, Account.make("work", "github"))))
  })

  for (const [what, refused] of [
    ["nothing", ""],
    ["more than 200 characters", "a".repeat(201)],
    ["an escape character", "a\u001b[31m"],
    ["a line feed", "a\nb"],
    ["a NUL", "a\u0000"],
    ["a C1 control", "a\u0085"],
    ["half of a surrogate pair", "a\ud800"],
  ] as const) {
    it(`takes no name with ${what}`, () => {
      assert.isTrue(Option.isNone(decode({ provider: refused, bucket: "default" })))
      assert.isTrue(Option.isNone(decode({ provider: "github", bucket: refused })))
    })
  }

  for (const accepted of ["a".repeat(200), "with space", "../..", "日本語", "👩‍💻"]) {
    it(`takes the name ${accepted.slice(0, 20)} of ${accepted.length} characters`, () => {
      assert.isTrue(Option.isSome(decode({ provider: accepted, bucket: accepted })))
    })
  }
})
