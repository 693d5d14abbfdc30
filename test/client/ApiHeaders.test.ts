import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { isUsable, withToken } from "../../src/client/ApiHeaders.ts"
import type { PublicToken } from "../../src/domain/Token.ts"
import type { Api } from "../../src/oauth/ProviderRecord.ts"

const tokenOf = (tokenType: string, extras: PublicToken["extras"] = {}): PublicToken => ({
  accessToken: Redacted.make("token"),
  tokenType,
  extras,
})

const sent = (asked: Record<string, string>, api: Api = {}, token = tokenOf("bearer")) =>
  Object.fromEntries(withToken(new Headers(asked), api, token))

const authorization = "Bearer token"

describe("the headers of a request with a token", () => {
  for (const [type, canonical] of [
    ["bearer", "Bearer token"],
    ["BEARER", "Bearer token"],
    ["token", "token token"],
    ["DPoP", "DPoP token"],
  ] as const) {
    it(`say ${canonical} for a token of the type ${type}`, () =>
      assert.deepStrictEqual(sent({}, {}, tokenOf(type)), { authorization: canonical }))
  }

  it("have nothing that could speak for somebody else", () =>
    assert.deepStrictEqual(
      sent({
        Authorization: "Bearer other",
        Cookie: "session=1",
        Host: "other.example",
        "Proxy-Authorization": "Basic b3RoZXI=",
        "X-API-Key": "other",
        accept: "text/plain",
      }),
      { accept: "text/plain", authorization },
    ))

  it("are without what must not be sent, and with what must, whatever the caller says", () =>
    assert.deepStrictEqual(
      sent(
        { "x-gone": "1", "x-version": "caller", "X-Kept": "1" },
        { removedHeaders: ["X-Gone"], headers: { "X-Version": "ours", Authorization: "never" } },
      ),
      { "x-version": "ours", "x-kept": "1", authorization },
    ))

  for (const [value, header] of [
    ["account-1", "account-1"],
    [undefined, undefined],
    [7, undefined],
    ["", undefined],
    ["a\r\nx-injected: 1", undefined],
    ["ü", undefined],
  ] as const) {
    it(`have ${header} of a field that is ${JSON.stringify(value)}`, () =>
      assert.deepStrictEqual(
        sent(
          { "account-id": "caller" },
          { headersFromFields: { "Account-Id": "account_id" } },
          tokenOf("bearer", value === undefined ? {} : { account_id: value }),
        ),
        header === undefined ? { authorization } : { "account-id": header, authorization },
      ))
  }

  for (const [own, further, list] of [
    [undefined, ["oauth"], "oauth"],
    ["", ["oauth"], "oauth"],
    ["mine", ["oauth"], "mine,oauth"],
    ["mine, OAuth", ["oauth", "more"], "mine,OAuth,more"],
    [" a ,, a , A", ["b,c", "C"], "a,b,c"],
  ] as const) {
    it(`have ${list} of ${JSON.stringify(own)} and ${further.join(" and ")}`, () =>
      assert.deepStrictEqual(
        sent(own === undefined ? {} : { "api-beta": own }, { mergedHeaders: { "Api-Beta": further } }),
        { "api-beta": list, authorization },
      ))
  }

  it("can hold a token of visible ASCII, of a type that is one word", () => {
    assert.isTrue(isUsable(tokenOf("bearer")))
    for (const token of ["", "a b", "a\n", "ü", "\u0000"]) {
      assert.isFalse(isUsable({ ...tokenOf("bearer"), accessToken: Redacted.make(token) }))
    }
    for (const type of ["", "a b", "a\n"]) assert.isFalse(isUsable(tokenOf(type)))
  })
})
