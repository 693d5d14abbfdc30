import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { ApiKey, longest } from "../../src/domain/ApiKey.ts"

const decode = Schema.decodeUnknownOption(ApiKey)

describe("an API key", () => {
  it("is what can be sent in a header as it is", () => {
    for (const text of ["x", "sk-1_2.3~4", "Basic dXNlcjpwYXNz", "~".repeat(longest), "a b  c"]) {
      assert.isTrue(Option.isSome(decode(text)), text)
    }
  })

  it("is nothing else", () => {
    for (const text of [
      "",
      " ",
      " a",
      "a ",
      "a\n",
      "a\r\nx: y",
      "a\tb",
      "a\u0000",
      "é",
      "a\u007f",
      "~".repeat(longest + 1),
    ]) {
      assert.isTrue(Option.isNone(decode(text)), JSON.stringify(text))
    }
  })
})
