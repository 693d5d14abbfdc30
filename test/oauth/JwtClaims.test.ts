import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { claimsOf } from "../../src/oauth/JwtClaims.ts"

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const jwt = (claims: unknown) => `${encoded({ alg: "RS256" })}.${encoded(claims)}.c2ln`

describe("JwtClaims", () => {
  it("reads the claims, nested and not ASCII", () => {
    const claims = { exp: 1_900_000_000, "https://example/auth": { account: "Zoë" } }
    assert.deepStrictEqual(claimsOf(jwt(claims)), Option.some(claims))
  })

  it("reads padded claims", () => {
    const padded = Buffer.from(JSON.stringify({ a: 1 })).toString("base64")
    assert.deepStrictEqual(claimsOf(`e30.${padded}.c2ln`), Option.some({ a: 1 }))
  })

  for (const [what, text] of [
    ["an empty text", ""],
    ["an opaque token", "sk-ant-oat01-EXAMPLE"],
    ["two parts", `e30.${encoded({ exp: 1 })}`],
    ["the five parts of an encrypted one", `e30.${encoded({ exp: 1 })}.a.b.c`],
    ["no claims", "e30..c2ln"],
    ["claims that are not JSON", `e30.${Buffer.from("{exp:1}").toString("base64url")}.c2ln`],
    ["claims that are a list", jwt([1])],
    ["claims that are nothing", jwt(null)],
  ] as const) {
    it(`finds none in ${what}`, () => {
      assert.deepStrictEqual(claimsOf(text), Option.none())
    })
  }

  it.effect.prop("reads whatever object it was given", [Schema.Record(Schema.String, Schema.Json)], ([claims]) =>
    Effect.sync(() => {
      assert.deepStrictEqual(claimsOf(jwt(claims)), Option.some(JSON.parse(JSON.stringify(claims))))
    }),
  )

  it.effect.prop("never throws", [Schema.String, Schema.String, Schema.String], (parts) =>
    Effect.sync(() => {
      assert.isBoolean(Option.isSome(claimsOf(parts.join("."))))
      assert.isBoolean(Option.isSome(claimsOf(parts.map((part) => Buffer.from(part).toString("base64url")).join("."))))
    }),
  )
})
