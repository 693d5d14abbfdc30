import { assert, describe, it } from "@effect/vitest"
import { Duration, Equal, Option, Schema } from "effect"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Errors from "../../src/domain/Errors.ts"

const AnyError = Schema.Union([
  Errors.AccessDenied,
  Errors.ApiKeyNotFound,
  Errors.AuthorizationPending,
  Errors.Cancelled,
  Errors.ConfigCorrupt,
  Errors.ExchangeFailed,
  Errors.FlowInitiationFailed,
  Errors.Forbidden,
  Errors.GrantNotFound,
  Errors.HostFailure,
  Errors.HostUnreachable,
  Errors.InvalidRequest,
  Errors.LockBusy,
  Errors.PeerMismatch,
  Errors.PollFailed,
  Errors.ProviderNotConfigured,
  Errors.ProviderNotFound,
  Errors.QuestionNotFound,
  Errors.RateLimited,
  Errors.ReauthRequired,
  Errors.RefreshFailed,
  Errors.RefreshNotAvailable,
  Errors.RefreshRateLimited,
  Errors.SecretUnavailable,
  Errors.SessionExpired,
  Errors.SessionNotFound,
  Errors.SessionUsed,
  Errors.SlowDown,
  Errors.StoreCorrupt,
  Errors.StoreNewer,
  Errors.StoreUnavailable,
  Errors.TokenNotFound,
  Errors.Unauthorized,
])
type AnyError = typeof AnyError.Type

const codec = Schema.toCodecJson(AnyError)
const encode = Schema.encodeSync(codec)
const decode = Schema.decodeUnknownSync(codec)

/** Each error, with the words of its message that say what to do, or where there is nothing to do what happened. */
const inOwnWords = (text: string, account: Account.AccountKey): ReadonlyArray<readonly [AnyError, RegExp]> => [
  [Errors.AccessDenied.make({ sessionId: text }), /begin a new login/],
  [Errors.ApiKeyNotFound.make({ name: text }), /tokenkeep key set/],
  [Errors.AuthorizationPending.make({}), /Ask again after the interval/],
  [Errors.Cancelled.make({}), /Send it again/],
  [Errors.Forbidden.make({}), /not granted to this peer/],
  [Errors.GrantNotFound.make({ id: text }), /tokenkeep grant list/],
  [Errors.QuestionNotFound.make({ id: text }), /tokenkeep approve/],
  [Errors.ConfigCorrupt.make({ path: text, provider: text }), /mend it in that file/],
  [Errors.HostFailure.make({}), /in its log/],
  [Errors.PeerMismatch.make({ sessionId: text }), /Begin a login of your own/],
  [Errors.ProviderNotConfigured.make({ provider: text }), /tokenkeep provider list --all/],
  [Errors.ProviderNotFound.make({ provider: text }), /tokenkeep provider add/],
  [Errors.RateLimited.make({ retryAfter: Duration.millis(1500) }), /try again in 2 s/],
  [Errors.LockBusy.make({ account, retryAfter: Duration.seconds(1) }), /try again in 1 s/],
  [Errors.ReauthRequired.make({ account }), /tokenkeep login/],
  [Errors.RefreshRateLimited.make({ account, retryAfter: Duration.seconds(7) }), /try again in 7 s/],
  [Errors.RefreshNotAvailable.make({ account }), /tokenkeep login/],
  [Errors.SecretUnavailable.make({ provider: text, source: text }), /set it where this runs/],
  [Errors.SessionExpired.make({ sessionId: text }), /Begin a new login/],
  [Errors.SessionNotFound.make({ sessionId: text }), /Begin a new login/],
  [Errors.SessionUsed.make({ sessionId: text }), /begin a new login/],
  [Errors.SlowDown.make({}), /Add five seconds to the interval/],
  [Errors.StoreCorrupt.make({ path: text }), /move it away and log in again/],
  [Errors.StoreNewer.make({ account, than: "tokenkeep" }), /update this one, or log out and in again/],
  [Errors.StoreUnavailable.make({ path: text, operation: "write" }), /Could not write .*check that the folder/],
  [Errors.TokenNotFound.make({ account }), /tokenkeep login/],
  [Errors.Unauthorized.make({}), /The person who runs the host can change it/],
]

const inWordsOfDetail = (detail: string, account: Account.AccountKey): ReadonlyArray<AnyError> => [
  Errors.ExchangeFailed.make({ detail }),
  Errors.FlowInitiationFailed.make({ detail }),
  Errors.HostUnreachable.make({ detail }),
  Errors.InvalidRequest.make({ detail }),
  Errors.PollFailed.make({ detail }),
  Errors.RefreshFailed.make({ account, detail }),
]

const account = Account.make("github", "work")
const told = inOwnWords("some text", account)
const detailed = inWordsOfDetail("It did not work. Try again.", account)

const hostile = "\u001b[2J\u009b31m\u202eevil\u200b\u2028\ud800\u0007"
const hostileAccount = Account.make("\u202eevil\u200b", "\u2066work\u2028")
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u

describe("errors", () => {
  it("are all in these tables", () => {
    const tags = [...told.map(([error]) => error), ...detailed].map((error) => error._tag)
    assert.sameMembers(tags, Object.keys(Errors))
  })

  for (const [error, advice] of told) {
    it(`say what to do: ${error._tag}`, () => {
      assert.match(error.message, advice)
    })
  }

  for (const error of detailed) {
    it(`say their detail: ${error._tag}`, () => {
      assert.strictEqual(error.message, "It did not work. Try again.")
    })
  }

  for (const [error, advice] of inOwnWords(hostile, hostileAccount)) {
    it(`hold nothing in their message that a terminal would obey: ${error._tag}`, () => {
      assert.notMatch(error.message, unprintable)
      assert.match(error.message, advice)
    })
  }

  for (const error of inWordsOfDetail(`It did not work: ${hostile}`, hostileAccount)) {
    it(`hold nothing in their detail that a terminal would obey: ${error._tag}`, () => {
      assert.notMatch(error.message, unprintable)
      assert.match(error.message, /^It did not work: /)
    })
  }

  it("name a command that a shell takes as it is meant", () => {
    const commandFor = (account: Account.AccountKey) =>
      /tokenkeep login.*/.exec(Errors.TokenNotFound.make({ account }).message)?.[0]
    assert.strictEqual(commandFor(Account.make("hub", "a;rm -rf ~")), "tokenkeep login 'hub:a;rm -rf ~'")
    assert.strictEqual(commandFor(Account.make("it's")), "tokenkeep login 'it'\\''s'")
    assert.strictEqual(commandFor(Account.make("a\u200bb")), "tokenkeep login")
    assert.strictEqual(commandFor(Account.make("x ".repeat(90), "y ".repeat(90))), "tokenkeep login")
  })

  for (const error of [...told.map(([error]) => error), ...detailed]) {
    it(`are the same after a journey as JSON: ${error._tag}`, () => {
      const arrived = decode(JSON.parse(JSON.stringify(encode(error))))
      assert.isTrue(Equal.equals(arrived, error))
      assert.strictEqual(arrived.message, error.message)
      assert.strictEqual(arrived.constructor, error.constructor)
    })
  }

  it("name the account, the provider and the file that they are about", () => {
    assert.include(Errors.TokenNotFound.make({ account }).message, "logged in as github:work.")
    assert.match(Errors.ReauthRequired.make({ account }).message, /tokenkeep login github:work$/)
    assert.include(Errors.RefreshNotAvailable.make({ account }).message, "for github:work.")
    assert.include(Errors.ProviderNotConfigured.make({ provider: "hub" }).message, "called hub.")
    assert.include(Errors.ProviderNotFound.make({ provider: "hub" }).message, "called hub,")
    assert.include(Errors.StoreCorrupt.make({ path: "/a/b.json" }).message, "/a/b.json")
    assert.match(
      Errors.StoreCorrupt.make({ path: "/a/b.json", apiKey: "hub" }).message,
      /\/a\/b\.json .*tokenkeep key set hub$/,
    )
    assert.match(Errors.StoreCorrupt.make({ path: "/a", because: "newer" }).message, /\/a .*newer.*update this one/)
    assert.match(Errors.StoreCorrupt.make({ path: "/a", because: "plugin" }).message, /\/a.*update the plugin/)
    assert.match(Errors.StoreNewer.make({ account, than: "tokenkeep" }).message, /github:work .*newer tokenkeep/)
    assert.match(Errors.StoreNewer.make({ account, than: "plugin" }).message, /github:work .*update the plugin/)
    assert.match(Errors.ApiKeyNotFound.make({ name: "a hub" }).message, /key a hub\. .*tokenkeep key set 'a hub'$/)
    assert.include(Errors.StoreUnavailable.make({ path: "/a/b.json", operation: "read" }).message, "read /a/b.json")
  })

  it("do not arrive about an account whose name holds controls", () => {
    const wire = { _tag: "TokenNotFound", account: { provider: "\u001b[2J", bucket: "default" } }
    assert.isTrue(Option.isNone(Schema.decodeOption(codec)(wire)))
  })
})
