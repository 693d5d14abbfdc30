import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import * as fc from "fast-check"
import * as SecureUrl from "../../src/oauth/SecureUrl.ts"
import { anyText } from "../support/AnyText.ts"

const isSecureUrl = Schema.is(SecureUrl.SecureUrl)
const hrefOf = (text: string) => Option.map(SecureUrl.parse(text), (url) => url.href)

describe("a URL that may carry a login", () => {
  for (const [text, href] of [
    ["https://provider.test/authorize?a=b#c", "https://provider.test/authorize?a=b#c"],
    ["HTTPS://Provider.Test", "https://provider.test/"],
    ["https://provider.test:8443/", "https://provider.test:8443/"],
    ["http://localhost:8085/cb", "http://localhost:8085/cb"],
    ["http://LOCALHOST/cb", "http://localhost/cb"],
    ["http://127.0.0.1", "http://127.0.0.1/"],
    ["http://127.8.9.10:1/", "http://127.8.9.10:1/"],
    ["http://2130706433/", "http://127.0.0.1/"],
    ["http://[::1]:80", "http://[::1]/"],
    ["http://[::1]:8085/cb", "http://[::1]:8085/cb"],
  ] as const) {
    it(`can be ${text}`, () => {
      assert.deepStrictEqual(hrefOf(text), Option.some(href))
      assert.isTrue(isSecureUrl(text))
    })
  }

  for (const text of [
    "javascript:alert(1)",
    "javascript://localhost/%0aalert(1)",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "smb://host/share",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "ftp://127.0.0.1/",
    "ws://localhost/",
    "http://provider.test/",
    "http://localhost.evil/",
    "http://evil.localhost.test/",
    "http://notlocalhost/",
    "http://127.0.0.1.evil.test/",
    "http://evil.test/127.0.0.1",
    "http://128.0.0.1/",
    "http://0.0.0.0/",
    "http://[::2]/",
    "http://[::ffff:127.0.0.1]/",
    "https://user@provider.test/",
    "https://user:password@provider.test/",
    "https://:password@provider.test/",
    "http://localhost@evil.test/",
    "http://user@localhost/",
    "https://",
    "https://a b/",
    "//provider.test/",
    "provider.test",
    "",
  ]) {
    it(`cannot be ${JSON.stringify(text)}`, () => {
      assert.deepStrictEqual(hrefOf(text), Option.none())
      assert.isFalse(isSecureUrl(text))
    })
  }

  it("comes out without the escapes and bidirectional controls that were in it", () => {
    assert.deepStrictEqual(
      hrefOf("https://x/\u001b[31m?q=\u001b]0;\u202e#\u001b\u200b"),
      Option.some("https://x/%1B[31m?q=%1B]0;%E2%80%AE#%1B%E2%80%8B"),
    )
  })

  it("is of printable ASCII whatever went in", () => {
    const anywhere = anyText()
    fc.assert(
      fc.property(anywhere, anywhere, anywhere, (path, query, fragment) => {
        const href = hrefOf(`https://provider.test/${path}?${query}#${fragment}`)
        assert.match(Option.getOrThrow(href), /^https:\/\/provider\.test\/[!-~]*$/)
      }),
    )
  })
})
