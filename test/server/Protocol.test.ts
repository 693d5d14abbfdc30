import { assert, describe, it } from "@effect/vitest"
import type { Schema } from "effect"
import { DateTime, Duration, Option, Redacted } from "effect"
import * as fc from "fast-check"
import type { InitiatedLogin } from "../../src/broker/Broker.ts"
import * as Errors from "../../src/domain/Errors.ts"
import { type PublicToken, reservedFields, toPublic } from "../../src/domain/Token.ts"
import * as Protocol from "../../src/server/Protocol.ts"
import { anyText } from "../support/AnyText.ts"

const never = 253_402_300_799
const standardFields = new Set(["access_token", "expiry", "token_type", "scope"])

const throughJson = (value: unknown): Schema.Json => JSON.parse(JSON.stringify(value))

const secret = fc.string({ minLength: 1 }).map((text) => Redacted.make(text))
const extraName = fc.oneof(fc.constantFrom("account_id", "toString", "Scope"), anyText())
const json = fc.jsonValue().map(throughJson)
const expiresAt = fc.integer({ min: 0, max: never * 1000 - 1 }).map((millis) => DateTime.makeUnsafe(millis))

const publicToken: fc.Arbitrary<PublicToken> = fc.record(
  {
    accessToken: secret,
    tokenType: fc.string(),
    expiresAt,
    scope: fc.string(),
    extras: fc.dictionary(
      extraName.filter((name) => !reservedFields.includes(name)),
      json,
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ["accessToken", "tokenType", "extras"] },
)

/** A token to compare, with its expiry in whole seconds. */
const inClear = (token: PublicToken) => ({
  ...token,
  accessToken: Redacted.value(token.accessToken),
  expiresAt: token.expiresAt && Math.floor(DateTime.toEpochMillis(token.expiresAt) / 1000),
})

const decodedFromJson = (wire: unknown) => Option.map(Protocol.decodeToken(throughJson(wire)), inClear)

describe("negotiating a version", () => {
  for (const [minVersion, maxVersion, version] of [
    [1, 1, 1],
    [2, 2, 2],
    [1, 2, 2],
    [1, 99, 2],
    [-5, 1, 1],
    [0, Number.MAX_SAFE_INTEGER, 2],
  ] as const) {
    it(`finds ${version} between ${minVersion} and ${maxVersion}`, () => {
      assert.deepStrictEqual(Protocol.negotiate({ minVersion, maxVersion }), Option.some(version))
    })
  }

  for (const [minVersion, maxVersion] of [
    [3, 9],
    [-1, 0],
    [2, 1],
    [1.5, 2],
    [1, 2.5],
    [1, Infinity],
    [-Infinity, 2],
    [NaN, 2],
    [1, NaN],
    [1, 2 ** 53],
    ["1", "2"],
    [1, "2"],
    [1n, 2n],
    [true, 2],
    [null, 2],
    [1, undefined],
    [[1], [2]],
  ]) {
    it(`finds none between ${typeof minVersion} ${minVersion} and ${typeof maxVersion} ${maxVersion}`, () => {
      assert.deepStrictEqual(Protocol.negotiate({ minVersion, maxVersion }), Option.none())
    })
  }
})

describe("the codes of errors", () => {
  it("are there for every error but the two that only polling knows", () => {
    assert.sameMembers([...Object.keys(Protocol.codes), "AuthorizationPending", "SlowDown"], Object.keys(Errors))
  })

  it("are all used but the one of the handshake", () => {
    assert.sameMembers(
      [...new Set<string>(Object.values(Protocol.codes)), "UNKNOWN_VERSION"],
      [...Protocol.WireCode.literals],
    )
  })

  it("tell apart everything but what a peer must not know", () => {
    const shared = Object.entries(Protocol.codes).filter(([tag, code]) =>
      Object.entries(Protocol.codes).some(([other, same]) => other !== tag && same === code),
    )
    assert.deepStrictEqual(Object.fromEntries(shared), {
      Unauthorized: "UNAUTHORIZED",
      PeerMismatch: "UNAUTHORIZED",
      TokenNotFound: "NOT_FOUND",
      ApiKeyNotFound: "NOT_FOUND",
      GrantNotFound: "NOT_FOUND",
      QuestionNotFound: "NOT_FOUND",
      RateLimited: "RATE_LIMITED",
      RefreshRateLimited: "RATE_LIMITED",
      LockBusy: "RATE_LIMITED",
      ConfigCorrupt: "INTERNAL_ERROR",
      SecretUnavailable: "INTERNAL_ERROR",
      StoreCorrupt: "INTERNAL_ERROR",
      StoreNewer: "INTERNAL_ERROR",
      StoreUnavailable: "INTERNAL_ERROR",
      HostFailure: "INTERNAL_ERROR",
      HostUnreachable: "INTERNAL_ERROR",
    })
  })

  it("come with the error's own words, but of the host's trouble only that there is some", () => {
    const denied = Errors.AccessDenied.make({ sessionId: "x" })
    assert.strictEqual(Protocol.wordsFor(denied), denied.message)
    for (const error of [
      Errors.StoreCorrupt.make({ path: "/home/me/x" }),
      Errors.StoreUnavailable.make({ path: "/home/me/x", operation: "read" }),
      Errors.HostUnreachable.make({ detail: "/home/me/x" }),
    ]) {
      assert.strictEqual(Protocol.wordsFor(error), Errors.HostFailure.make({}).message)
    }
  })
})

describe("a token on the wire", () => {
  it("is the one that was sent, its expiry in whole seconds", () => {
    fc.assert(
      fc.property(publicToken, (token) => {
        const arrived = decodedFromJson(Protocol.encodeToken(token))
        assert.deepStrictEqual(arrived, Option.some(inClear(token)))
      }),
    )
  })

  it("has the standard fields and the public ones, and no secret of the grant", () => {
    const anyName = fc.oneof(fc.constantFrom(...reservedFields), extraName)
    fc.assert(
      fc.property(publicToken, fc.array(anyName), secret, (token, names, refreshToken) => {
        const stored = {
          ...token,
          refreshToken,
          extras: Redacted.make(Object.fromEntries(names.map((name) => [name, "leaked"]))),
        }
        const fields = Object.keys(Protocol.encodeToken(toPublic(stored, names)))
        assert.includeMembers(fields, ["access_token", "expiry", "token_type"])
        for (const field of fields.filter((name) => !standardFields.has(name))) {
          assert.notInclude(reservedFields, field)
        }
      }),
    )
  })

  it("is written with its fields beside the standard ones", () => {
    const token = {
      accessToken: Redacted.make("a"),
      tokenType: "bearer",
      expiresAt: DateTime.makeUnsafe(1_999),
      scope: "read",
      extras: { account_id: "42", access_token: "not this", expiry: 7, token_type: "nor this", scope: "nor this" },
    }
    assert.deepStrictEqual(Protocol.encodeToken(token), {
      account_id: "42",
      access_token: "a",
      expiry: 1,
      token_type: "bearer",
      scope: "read",
    })
  })

  it("without expiry is written with the end of the year 9999, and read back without", () => {
    const token = { accessToken: Redacted.make("a"), tokenType: "bearer", extras: {} }
    const wire = Protocol.encodeToken(token)
    assert.strictEqual(wire["expiry"], Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)
    assert.notProperty(wire, "scope")
    assert.isFalse(Option.exists(Protocol.decodeToken(wire), (read) => "expiresAt" in read || "scope" in read))
    assert.isTrue(Option.isSome(Protocol.decodeToken(wire)))
  })

  it("may come with an access token alone, and is then a bearer token", () => {
    assert.deepStrictEqual(
      decodedFromJson({ access_token: "a" }),
      Option.some({ accessToken: "a", tokenType: "bearer", expiresAt: undefined, extras: {} }),
    )
  })

  it("loses whatever must not be public, whoever sent it", () => {
    const sent = Object.fromEntries(reservedFields.map((name) => [name, "x"]))
    const read = Protocol.decodeToken({ ...sent, expiry: 1, account_id: "42" })
    assert.deepStrictEqual(
      Option.map(read, ({ extras }) => extras),
      Option.some({ account_id: "42" }),
    )
  })

  for (const wire of [
    undefined,
    null,
    "a",
    [],
    {},
    { access_token: "" },
    { access_token: 1 },
    { access_token: "a", expiry: -1 },
    { access_token: "a", expiry: never + 1 },
    { access_token: "a", expiry: NaN },
    { access_token: "a", expiry: "1" },
    { access_token: "a", token_type: 1 },
    { access_token: "a", scope: ["read"] },
    { access_token: "a", account_id: () => "42" },
  ]) {
    it(`cannot be ${typeof wire} ${JSON.stringify(wire)}`, () => {
      assert.isTrue(Option.isNone(Protocol.decodeToken(wire)))
    })
  }
})

describe("a login on the wire", () => {
  const browser: InitiatedLogin = {
    sessionId: "0123",
    flowType: "browser_redirect",
    authUrl: "https://provider.test/authorize",
    device: Option.none(),
    pollInterval: Duration.millis(1500),
    notice: Option.none(),
    expiresIn: Duration.minutes(10),
  }
  const device: InitiatedLogin = {
    ...browser,
    flowType: "device_code",
    notice: Option.some("The service has ended."),
    device: Option.some({
      userCode: "ABCD-EFGH",
      verificationUri: "https://provider.test/device",
      verificationUriComplete: Option.some("https://provider.test/device?code=ABCD-EFGH"),
    }),
  }

  for (const login of [browser, device]) {
    it(`is the one that was begun: ${login.flowType}`, () => {
      const arrived = Protocol.decodeInitiated(throughJson(Protocol.encodeInitiated(login)))
      assert.deepStrictEqual(arrived, Option.some(login))
    })
  }

  it("says milliseconds, seconds, and the address under both of its names", () => {
    assert.deepStrictEqual(Protocol.encodeInitiated(device), {
      session_id: "0123",
      flow_type: "device_code",
      auth_url: "https://provider.test/authorize",
      pollIntervalMs: 1500,
      expiresIn: 600,
      notice: "The service has ended.",
      user_code: "ABCD-EFGH",
      verification_uri: "https://provider.test/device",
      verification_url: "https://provider.test/device",
      verification_uri_complete: "https://provider.test/device?code=ABCD-EFGH",
    })
  })

  it("shows a person a code without anything that a terminal would obey", () => {
    const arrived = Protocol.decodeInitiated({ ...Protocol.encodeInitiated(device), user_code: "\u001b[2JAB\u202eCD" })
    const shown = Option.flatMap(arrived, (login) => Option.map(login.device, ({ userCode }) => userCode))
    assert.deepStrictEqual(shown, Option.some("[2JAB CD"))
  })

  it("ends at a time that there is", () => {
    const arrived = Protocol.decodeInitiated({ ...Protocol.encodeInitiated(device), expiresIn: 1e300 })
    const life = Option.map(arrived, ({ expiresIn }) => expiresIn)
    assert.deepStrictEqual(life, Option.some(Duration.seconds(86_400)))
  })

  it("is read back while it is pending", () => {
    const pending = { status: "pending", interval: Duration.millis(2500) } as const
    const wire = throughJson(Protocol.encodeProgress(pending))
    assert.deepStrictEqual(wire, { status: "pending", pollIntervalMs: 2500, interval: 2.5 })
    assert.deepStrictEqual(Protocol.decodeProgress(wire), Option.some(pending))
  })

  it("brings its token when it is complete, and cannot be complete without", () => {
    const token = { accessToken: Redacted.make("a"), tokenType: "bearer", extras: {} }
    const wire = throughJson(Protocol.encodeProgress({ status: "complete", token }))
    const read = Option.getOrThrow(Protocol.decodeProgress(wire))
    assert.strictEqual(read.status === "complete" && Redacted.value(read.token.accessToken), "a")
    assert.isTrue(Option.isNone(Protocol.decodeProgress({ status: "complete", token: {} })))
    assert.isTrue(Option.isNone(Protocol.decodeProgress({ status: "complete" })))
  })
})

describe("a request", () => {
  const request = { v: 2, id: "1", op: "get_token", payload: {} }

  it("has a version that is spoken here, an id of 1 to 128 characters, an operation and a payload", () => {
    assert.isTrue(Protocol.isRequest(request))
    assert.isTrue(Protocol.isRequest({ ...request, v: 1, id: "x".repeat(128) }))
    for (const wrong of [
      { v: 3 },
      { v: "2" },
      { id: "" },
      { id: "x".repeat(129) },
      { id: 1 },
      { op: 1 },
      { payload: 1 },
    ]) {
      assert.isFalse(Protocol.isRequest({ ...request, ...wrong }), JSON.stringify(wrong))
    }
  })
})

describe("an API key on the wire", () => {
  it("is not taken from a host that says what cannot be sent on, or shown", () => {
    for (const wire of [{}, { key: "" }, { key: 1 }, { key: "a\r\nx: y" }, { key: "\u001b[2J" }, "key"]) {
      assert.isTrue(Option.isNone(Protocol.decodeApiKey(wire)), JSON.stringify(wire))
    }
    const key = Redacted.make("sk-1 2")
    const arrived = Option.getOrThrow(Protocol.decodeApiKey(throughJson(Protocol.encodeApiKey(key))))
    assert.strictEqual(Redacted.value(arrived), "sk-1 2")
  })
})

describe("statistics on the wire", () => {
  const used = { bucket: "work", requestCount: 3, percentage: 75, lastUsed: 1_800_000_000 }

  it("tell in whole seconds when, if ever", () => {
    const at = (millis: number) => Option.some(DateTime.makeUnsafe(millis))
    const { lastUsed: _, ...unused } = used
    assert.deepStrictEqual(Protocol.encodeStats({ ...used, lastUsed: at(1_800_000_000_999) }), used)
    assert.deepStrictEqual(Protocol.encodeStats({ ...used, lastUsed: Option.none() }), unused)
    assert.deepStrictEqual(Option.getOrThrow(Protocol.decodeStats(used)).lastUsed, at(1_800_000_000_000))
    assert.deepStrictEqual(Option.getOrThrow(Protocol.decodeStats(unused)).lastUsed, Option.none())
  })

  it("are not taken where they make no sense", () => {
    for (const wrong of [{ requestCount: -1 }, { requestCount: 1.5 }, { percentage: 101 }, { lastUsed: 1e15 }]) {
      assert.isTrue(Option.isNone(Protocol.decodeStats({ ...used, ...wrong })), JSON.stringify(wrong))
    }
  })
})
