import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { maximumLength, printable } from "../../src/domain/RemoteText.ts"
import { anyText } from "../support/AnyText.ts"

const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u

const texts = fc.oneof(
  anyText({ maxLength: 400 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 400 }).map((units) => String.fromCharCode(...units)),
)

describe("printable text", () => {
  for (const [what, text, shown] of [
    ["plain text", "invalid client", "invalid client"],
    ["other scripts", "日本語 é 👍", "日本語 é 👍"],
    ["a colour escape", "\u001b[31mred\u001b[0m", "[31mred [0m"],
    ["a terminal title", "a\u001b]0;title\u0007b", "a ]0;title b"],
    ["lines", "one\r\ntwo\u2028three\u2029four", "one two three four"],
    ["C1 controls", "a\u009b31mb", "a 31mb"],
    ["bidirectional controls", "abc\u202egpj.exe\u2069", "abc gpj.exe"],
    ["zero-width characters", "pay\u200bpal\ufeff", "pay pal"],
    ["tag characters", "a\u{e0041}b", "a b"],
    ["private use characters", "a\ue000b", "a b"],
    ["half of a surrogate pair", "a\ud83db", "a b"],
    ["nothing but controls", "\u0000\u001b\u200f", ""],
    ["white space at the ends", "  a  ", "a"],
  ] as const) {
    it(`shows ${what} on one line without anything a terminal would obey`, () => {
      assert.strictEqual(printable(text), shown)
    })
  }

  it("keeps 200 characters whole, and ends longer text with an ellipsis at 200", () => {
    assert.strictEqual(printable("a".repeat(200)), "a".repeat(200))
    assert.strictEqual(printable("a".repeat(201)), `${"a".repeat(199)}…`)
  })

  it("does not cut a character in two", () => {
    assert.strictEqual(printable(`${"a".repeat(198)}👍${"b".repeat(50)}`), `${"a".repeat(198)}…`)
  })

  it("is short, of one line and harmless whatever comes in, and stays as it is when shown again", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const shown = printable(text)
        assert.isAtMost(shown.length, maximumLength)
        assert.notMatch(shown, unprintable)
        assert.strictEqual(printable(shown), shown)
      }),
    )
  })
})
