import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { baseOf, hostsOf, isBound, under } from "../../src/client/ApiAddress.ts"

const api = {
  baseUrl: "https://api.example/v1",
  baseUrlField: "resource_url",
  hosts: ["api.example", "*.cdn.example", "other.example:8443", "127.0.0.1:4000", "localhost"],
}

describe("a token", () => {
  for (const url of [
    "https://api.example",
    "https://API.Example:443/x?y#z",
    "https://api%2Eexample/",
    "https:\\\\api.example\\x",
    "https://a.cdn.example/",
    "https://a.b.cdn.example/",
    "https://other.example:8443/",
    "http://127.0.0.1:4000/",
    "https://127.0.0.1:4000/",
    "http://2130706433:4000/",
    "http://localhost/",
  ]) {
    it(`goes to ${url}`, () => assert.isTrue(isBound(api, new URL(url))))
  }

  for (const url of [
    "http://api.example/",
    "ftp://api.example/",
    "wss://api.example/",
    "data:,api.example",
    "https://api.example./",
    "https://api.example:8443/",
    "https://other.example/",
    "https://api.example.evil.example/",
    "https://evilapi.example/",
    "https://evil.example/api.example",
    "https://evil.example#api.example",
    "https://evil.example\\@api.example/",
    "https://api.example@evil.example/",
    "https://user@api.example/",
    "https://user:password@api.example/",
    "https://cdn.example/",
    "https://.cdn.example/",
    "https://evilcdn.example/",
    "https://a.cdn.example./",
    "https://a.cdn.example.evil.example/",
    "http://a.cdn.example/",
    "http://127.0.0.1/",
    "http://127.0.0.1:4001/",
    "http://2130706433/",
    "http://[::1]:4000/",
    "http://[::ffff:127.0.0.1]:4000/",
    "http://0.0.0.0:4000/",
    "http://localhost:4000/",
    "http://localhost.evil.example/",
    "https://аpi.example/",
  ]) {
    it(`does not go to ${url}`, () => assert.isFalse(isBound(api, new URL(url))))
  }

  it("goes to the very origin of the base, an IPv6 address too, and nowhere without hosts", () => {
    assert.isTrue(isBound({ baseUrl: "http://[::1]:4000/v1" }, new URL("http://[0:0::1]:4000/x")))
    assert.isFalse(isBound({ baseUrl: "http://[::1]:4000" }, new URL("https://[::1]:4000/x")))
    assert.isFalse(isBound({ baseUrl: "http://[::1]:4000" }, new URL("http://[::1]:4001/x")))
    assert.isFalse(isBound({}, new URL("https://api.example/")))
    assert.isFalse(isBound({ hosts: ["*.0.0.1:4000"] }, new URL("http://127.0.0.1:4000/")))
    assert.deepStrictEqual(hostsOf({ baseUrl: "https://a.example:8443", hosts: ["b.example"] }), [
      "a.example:8443",
      "b.example",
    ])
  })

  it("goes to none but the hosts, whatever an address looks like", () => {
    const piece = fc.constantFrom(
      ..."https: http: // \\ / @ : . # ? % %2e %00 api.example .cdn.example evil.example a b 。 [::1] 127.0.0.1 2130706433 443 8443 4000 \t \n".split(
        " ",
      ),
    )
    let bound = 0
    fc.assert(
      fc.property(fc.constantFrom("https://", "http://", ""), fc.array(piece, { maxLength: 5 }), (start, pieces) => {
        const text = start + pieces.join("")
        for (const url of [URL.parse(text), under(new URL(api.baseUrl), text)]) {
          if (url === null || !isBound(api, url)) continue
          bound++
          // What is contacted is decided from this text alone.
          const { host, password, protocol, username } = new URL(url.href)
          assert.strictEqual(username + password, "")
          const plain = ["127.0.0.1:4000", "localhost"]
          const secure = [...plain, "api.example", "other.example:8443"]
          if (protocol === "http:") assert.include(plain, host)
          else if (!/^([^/:@]+\.)+cdn\.example$/.test(host)) assert.include(secure, host)
        }
      }),
      { numRuns: 3000 },
    )
    assert.isAbove(bound, 100)
  })
})

describe("a relative address", () => {
  for (const [relative, whole] of [
    ["/models", "https://api.example/v1/models"],
    ["models?a=b", "https://api.example/v1/models?a=b"],
    ["/models/x:generate", "https://api.example/v1/models/x:generate"],
    ["/x:y", "https://api.example/v1/x:y"],
    ["", "https://api.example/v1/"],
    ["?a=b", "https://api.example/v1/?a=b"],
    ["../v2/models", "https://api.example/v2/models"],
    ["//evil.example/x", "https://evil.example/x"],
    ["/\\evil.example/x", "https://evil.example/x"],
  ] as const) {
    it(`${JSON.stringify(relative)} is ${whole}`, () =>
      assert.strictEqual(under(new URL("https://api.example/v1?z"), relative)?.href, whole))
  }

  for (const [said, base] of [
    [undefined, "https://api.example/v1"],
    ["https://a.cdn.example/v9", "https://a.cdn.example/v9"],
    ["a.cdn.example/v9", "https://a.cdn.example/v9"],
    ["other.example:8443", "https://other.example:8443/"],
    ["https://evil.example/v9", "https://api.example/v1"],
    ["evil.example", "https://api.example/v1"],
    ["http://api.example", "https://api.example/v1"],
    ["https://user@api.example", "https://api.example/v1"],
    ["api.example@evil.example", "https://api.example/v1"],
    ["", "https://api.example/v1"],
    [7, "https://api.example/v1"],
  ] as const) {
    it(`is relative to ${base} if the token says ${JSON.stringify(said)}`, () =>
      assert.strictEqual(baseOf(api, said === undefined ? {} : { resource_url: said })?.href, base))
  }
})
