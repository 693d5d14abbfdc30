import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { Typed } from "../../src/cli/AccountArgument.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { AccountPatternFromString, matchesAccount } from "../../src/domain/NamePattern.ts"

const account = Schema.decodeUnknownOption(Typed.pipe(Schema.decodeTo(Account.AccountKeyFromString)))
const pattern = Schema.decodeUnknownSync(Typed.pipe(Schema.decodeTo(AccountPatternFromString)))

describe("an account that is typed", () => {
  for (const [typed, provider, bucket] of [
    ["github:work", "github", "work"],
    ["HTTPS://MCP.example#work", "https://mcp.example/", "work"],
    ["https://mcp.example/mcp", "https://mcp.example/mcp", "default"],
    ["http://127.1:80/mcp#a#b", "http://127.0.0.1/mcp", "a#b"],
  ] as const) {
    it(`as ${typed} is ${bucket} of ${provider}`, () => {
      assert.deepStrictEqual(account(typed), Option.some(Account.make(provider, bucket)))
    })
  }

  it("as an address may be a pattern", () => {
    const mcp = Account.make("https://mcp.example/mcp")
    const work = Account.make("https://mcp.example/mcp", "work")
    const evil = Account.make("https://mcp.example.evil/mcp")
    for (const [typed, matching] of [
      ["https://MCP.example/mcp", [mcp]],
      ["https://mcp.example/mcp#*", [mcp, work]],
      ["https://mcp.example/*#work", [work]],
      ["https://*#*", [mcp, work, evil]],
      ["*", [mcp, work, evil]],
      ["*:*", [mcp, work, evil]],
    ] as const) {
      assert.deepStrictEqual(
        [mcp, work, evil].filter((account) => matchesAccount(pattern(typed), account)),
        [...matching],
        typed,
      )
    }
  })
})
