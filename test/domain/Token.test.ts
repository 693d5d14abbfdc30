import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Option, Redacted, Schema } from "effect"
import * as fc from "fast-check"
import {
  isFresh,
  mergeRefreshed,
  type RefreshedToken,
  reservedFields,
  snapshot,
  StoredToken,
  toPublic,
} from "../../src/domain/Token.ts"

const at = (millis: number) => DateTime.makeUnsafe(millis)

const hidden = (extras: { readonly [name: string]: Schema.Json }) => Redacted.make(extras, { label: "extras" })

const stored: StoredToken = {
  accessToken: Redacted.make("old-access"),
  refreshToken: Redacted.make("old-refresh"),
  expiresAt: at(1000),
  scope: "read write",
  tokenType: "bearer",
  extras: hidden({ account_id: "42", id_token: "e.y.j" }),
}

const values = (token: StoredToken) => ({
  ...token,
  accessToken: Redacted.value(token.accessToken),
  refreshToken: token.refreshToken && Redacted.value(token.refreshToken),
  extras: Redacted.value(token.extras),
})

const afterRefresh = (refreshed: Omit<RefreshedToken, "accessToken">) =>
  values(mergeRefreshed(stored, { accessToken: Redacted.make("new-access"), ...refreshed }))

describe("a stored token", () => {
  it("is written as JSON and read back", () => {
    const codec = Schema.fromJsonString(StoredToken)
    const text = Schema.encodeSync(codec)(stored)
    assert.deepStrictEqual(JSON.parse(text), {
      accessToken: "old-access",
      refreshToken: "old-refresh",
      expiresAt: "1970-01-01T00:00:01.000Z",
      scope: "read write",
      tokenType: "bearer",
      extras: { account_id: "42", id_token: "e.y.j" },
    })
    assert.deepStrictEqual(values(Schema.decodeSync(codec)(text)), values(stored))
  })

  it("shows no secret when it is printed", () => {
    for (const printed of [JSON.stringify(stored), String(stored.accessToken), String(stored.extras)]) {
      assert.notMatch(printed, /old-access|old-refresh|e\.y\.j/)
    }
  })

  it("has no empty secrets", () => {
    const decode = Schema.decodeUnknownOption(StoredToken)
    const plain = { accessToken: "a", tokenType: "bearer", extras: {} }
    assert.isTrue(Option.isSome(decode(plain)))
    assert.isTrue(Option.isNone(decode({ ...plain, accessToken: "" })))
    assert.isTrue(Option.isNone(decode({ ...plain, refreshToken: "" })))
  })
})

describe("the public part of a token", () => {
  it("has the standard fields and the extra fields that are listed, and nothing else", () => {
    const token = toPublic(stored, ["account_id", "resource_url"])
    const { accessToken, ...rest } = token
    assert.strictEqual(Redacted.value(accessToken), "old-access")
    assert.deepStrictEqual(rest, {
      tokenType: "bearer",
      expiresAt: at(1000),
      scope: "read write",
      extras: { account_id: "42" },
    })
  })

  it("leaves out what the provider did not say", () => {
    const token = toPublic({ accessToken: stored.accessToken, tokenType: "bearer", extras: hidden({}) }, [])
    assert.hasAllKeys(token, ["accessToken", "tokenType", "extras"])
  })

  it("never has a reserved field or one that is not listed, whatever is listed", () => {
    const field = fc.oneof(fc.constantFrom(...reservedFields), fc.constantFrom("account_id", "toString"), fc.string())
    fc.assert(
      fc.property(fc.array(field), fc.array(field), (present, listed) => {
        const extras = Object.fromEntries(present.map((name) => [name, `secret ${name}`]))
        const token = toPublic({ ...stored, extras: hidden(extras) }, listed)
        const expected = new Set(listed.filter((name) => present.includes(name) && !reservedFields.includes(name)))
        assert.sameMembers(Object.keys(token.extras), [...expected])
        for (const [name, value] of Object.entries(token.extras)) assert.strictEqual(value, `secret ${name}`)
      }),
    )
  })

  it("reserves every name of a secret of the grant", () => {
    const secrets = ["refresh_token", "id_token", "client_secret", "code", "code_verifier", "device_code", "__proto__"]
    assert.includeMembers([...reservedFields], secrets)
  })
})

describe("merging a refreshed token", () => {
  it("takes the new access token and expiry, and keeps what was not said again", () => {
    assert.deepStrictEqual(afterRefresh({ expiresAt: at(5000) }), {
      ...values(stored),
      accessToken: "new-access",
      expiresAt: at(5000),
    })
  })

  it("does not keep the old expiry when the new token has none", () => {
    assert.notProperty(afterRefresh({ expiresAt: undefined }), "expiresAt")
  })

  it("keeps the old refresh token unless a new, non-empty one came", () => {
    assert.strictEqual(afterRefresh({}).refreshToken, "old-refresh")
    assert.strictEqual(afterRefresh({ refreshToken: undefined }).refreshToken, "old-refresh")
    assert.strictEqual(afterRefresh({ refreshToken: Redacted.make("") }).refreshToken, "old-refresh")
    assert.strictEqual(afterRefresh({ refreshToken: Redacted.make("rotated") }).refreshToken, "rotated")
  })

  it("takes a new scope and type, also an empty scope", () => {
    assert.strictEqual(afterRefresh({ scope: "read" }).scope, "read")
    assert.strictEqual(afterRefresh({ scope: "" }).scope, "")
    assert.strictEqual(afterRefresh({ tokenType: "dpop" }).tokenType, "dpop")
  })

  it("adds new extra fields to the old ones and still hides them", () => {
    const extras = hidden({ id_token: "new", resource_url: "https://x" })
    assert.deepStrictEqual(afterRefresh({ extras }).extras, {
      account_id: "42",
      id_token: "new",
      resource_url: "https://x",
    })
    assert.notInclude(String(mergeRefreshed(stored, { accessToken: stored.accessToken, extras }).extras), "new")
  })
})

describe("freshness", () => {
  it("ends at the expiry itself", () => {
    assert.isTrue(isFresh({ expiresAt: at(1000) }, at(999)))
    assert.isFalse(isFresh({ expiresAt: at(1000) }, at(1000)))
  })

  it("ends earlier by the validity that is asked for", () => {
    assert.isTrue(isFresh({ expiresAt: at(31_000) }, at(999), Duration.seconds(30)))
    assert.isFalse(isFresh({ expiresAt: at(31_000) }, at(1000), "30 seconds"))
  })

  it("never ends for a token without expiry", () => {
    assert.isTrue(isFresh({}, at(8e15), Duration.days(3650)))
  })
})

describe("a snapshot", () => {
  it("shows the ends of the access token, the scopes, the expiry, and whether it can be refreshed", () => {
    const token = { ...stored, accessToken: Redacted.make("abcdefghijklmnop"), scope: " read  write " }
    assert.deepStrictEqual(snapshot(token), {
      accessToken: "abcd…mnop",
      expiresAt: Option.some(at(1000)),
      scopes: ["read", "write"],
      refreshable: true,
    })
  })

  it("shows nothing of a token shorter than 16 characters", () => {
    assert.strictEqual(snapshot({ accessToken: Redacted.make("abcdefghijklmno") }).accessToken, "…")
  })

  it("says of a bare token that it has no expiry, no scopes and no way to be refreshed", () => {
    assert.deepStrictEqual(snapshot({ accessToken: Redacted.make("x") }), {
      accessToken: "…",
      expiresAt: Option.none(),
      scopes: [],
      refreshable: false,
    })
  })
})
