import { assert, describe, it } from "@effect/vitest"
import { DateTime, Option, Schema } from "effect"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AuthEvent from "../../src/domain/AuthEvent.ts"

const at = DateTime.makeUnsafe("2026-03-01T10:00:00.250Z")

describe("an event", () => {
  it.prop("comes back from its JSON as it was", [AuthEvent.AuthEvent], ([event]) => {
    const line = AuthEvent.toJson(event)
    assert.match(line, /^[\u0020-\u007e]+$/)
    assert.deepStrictEqual(Option.getOrThrow(AuthEvent.fromJson(line)), event)
  })

  it("has a version, a type, a time and the account in front", () => {
    const account = Account.make("a:b", "wörk\u202e")
    assert.strictEqual(
      AuthEvent.toJson({
        _tag: "refresh_failed",
        at,
        account,
        durationMs: 12,
        reason: "rate_limited",
        retryAfterMs: 5,
      }),
      '{"version":1,"type":"refresh_failed","at":"2026-03-01T10:00:00.250Z","account":"a%3Ab:w\\u00f6rk\\u202e","durationMs":12,"reason":"rate_limited","retryAfterMs":5}',
    )
  })

  it("is of one of the types that are listed, each of which can be told apart", () => {
    assert.sameMembers([...AuthEvent.types], Object.keys(AuthEvent.AuthEvent.cases))
    const words = AuthEvent.AuthEvent.matchOrElse({ logout: ({ revocation }) => revocation }, ({ _tag }) => _tag)
    assert.strictEqual(words({ _tag: "logout", at, account: Account.make("x"), revocation: "revoked" }), "revoked")
    assert.strictEqual(words({ _tag: "missed", at, count: 2 }), "missed")
  })

  it("of another version or type, or with anything but words of ours in it, is none", () => {
    const good = { version: 1, type: "login_failed", at: "2026-03-01T10:00:00Z", account: "x", flow: "device_code" }
    const wrong: ReadonlyArray<unknown> = [
      { ...good, durationMs: 1, reason: "the provider's own words" },
      { ...good, durationMs: 1, reason: "denied", version: 2 },
      { ...good, durationMs: 1, reason: "denied", type: "login_lost" },
      { version: 1, type: "token_served", at: good.at, account: "x", from: "broker", fingerprint: "sk-secret" },
      { version: 1, type: "import", at: good.at, account: "x", source: "My Secret", fingerprint: "0123456789abcdef" },
      "no object",
    ]
    for (const one of wrong) assert.deepStrictEqual(AuthEvent.fromJson(JSON.stringify(one)), Option.none())
    const more = { ...good, durationMs: 1, reason: "denied", future: "x" }
    const read = Option.getOrThrow(AuthEvent.fromJson(JSON.stringify(more)))
    assert.notProperty(read, "future")
    assert.isTrue(Schema.is(AuthEvent.AuthEvent)(read))
  })
})
