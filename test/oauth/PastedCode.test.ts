import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as fc from "fast-check"
import * as PastedCode from "../../src/oauth/PastedCode.ts"

const parse = (text: string) => Object.fromEntries(PastedCode.parse(Redacted.make(text)).parameters)
const isBare = (text: string) => PastedCode.parse(Redacted.make(text)).isBare

describe("a pasted answer", () => {
  for (const [what, pasted, expected] of [
    ["a bare code", "abc123", { code: "abc123" }],
    ["a code with the characters codes have", "4/0AeanS-_~.x==", { code: "4/0AeanS-_~.x==" }],
    ["a code with plus and percent signs", "a+b%2F", { code: "a+b%2F" }],
    ["a code that ends in the word code and padding", "4barcode==", { code: "4barcode==" }],
    ["a code and a state", "abc#st-1", { code: "abc", state: "st-1" }],
    ["a code with padding, and a state", "4/0Aean==#st", { code: "4/0Aean==", state: "st" }],
    ["a code and an empty state", "abc#", { code: "abc" }],
    ["a query string", "code=4/0Aean&state=st", { code: "4/0Aean", state: "st" }],
    ["a query string with its question mark", "?state=st&code=4%2F0Aean", { code: "4/0Aean", state: "st" }],
    ["a query string with padding in the code", "?code=abc==&state=st", { code: "abc==", state: "st" }],
    ["a query string with a fragment", "?code=a&state=b#_=_", { code: "a", state: "b" }],
    ["a query string with an empty fragment", "code=a&state=b#", { code: "a", state: "b" }],
    ["a query string with a question mark in a value", "code=a?b&state=s", { code: "a?b", state: "s" }],
    [
      "a redirect URL with a query of its own and the answer in its fragment",
      "https://app.test/cb?x=1#code=a&state=b",
      { code: "a", state: "b" },
    ],
    ["a fragment", "#code=abc&state=st", { code: "abc", state: "st" }],
    [
      "a query string with an issuer",
      "code=a&state=s&iss=https%3A%2F%2Fx",
      { code: "a", state: "s", iss: "https://x" },
    ],
    ["a redirect URL", "https://app.test/cb?code=4/0Aean&state=st", { code: "4/0Aean", state: "st" }],
    ["a redirect URL in capitals", "HTTPS://app.test/cb?code=abc#_=_", { code: "abc" }],
    ["a loopback redirect URL", "http://127.0.0.1:8085/cb?code=abc&state=st", { code: "abc", state: "st" }],
    ["a redirect URL with a fragment after the query", "https://app.test/cb?code=abc#_=_", { code: "abc" }],
    [
      "a redirect URL with the answer in its fragment",
      "https://app.test/cb#code=abc&state=st",
      { code: "abc", state: "st" },
    ],
    ["a redirect URL without answer", "https://app.test/cb", {}],
    ["a redirect URL without its scheme", "localhost:8085/cb?code=abc&state=st", { code: "abc", state: "st" }],
    ["a redirect URL with a scheme of an app", "com.app:/cb?code=abc&state=st", { code: "abc", state: "st" }],
    ["a refusal", "error=access_denied&state=st", { error: "access_denied", state: "st" }],
    ["a refusal in a redirect URL", "https://app.test/cb?error=access_denied", { error: "access_denied" }],
    ["nothing", "", {}],
    ["white space", " \t\n", {}],
    ["a state without code", "#st", { state: "st" }],
  ] as const) {
    it(`can be ${what}`, () => {
      assert.deepStrictEqual(parse(pasted), expected)
    })

    it(`can be ${what} between white space`, () => {
      assert.deepStrictEqual(parse(` \t${pasted}\r\n`), expected)
    })
  }

  it("can be any code of the characters that URLs leave alone, as it is", () => {
    const character = fc.constantFrom(..."abcXYZ0189-_~./=")
    const code = fc.string({ unit: character, minLength: 1 }).filter((text) => !/^(code|error)=/.test(text))
    fc.assert(
      fc.property(code, (text) => {
        assert.deepStrictEqual(parse(text), { code: text })
        assert.deepStrictEqual(parse(`${text}#state`), { code: text, state: "state" })
      }),
    )
  })

  it("is bare if it is a code, or a code and a state, and nothing around them", () => {
    for (const text of ["abc", "abc#st"]) assert.isTrue(isBare(text), text)
  })

  it("is not bare if it is a query or an address, or has no code", () => {
    for (const text of [
      "code=a&state=s",
      "https://app.test/cb?code=a",
      "code=a&iss=x",
      "code=a&error=x",
      "error=access_denied",
      "#st",
      "",
    ]) {
      assert.isFalse(isBare(text), text)
    }
  })
})
