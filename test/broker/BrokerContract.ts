/**
 * What every broker must do, in the process of the refresh tokens or at the other end of a socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, type Layer, Option, Redacted } from "effect"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { Usage } from "../../src/broker/Usage.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { longest } from "../../src/domain/ApiKey.ts"
import type { PublicToken } from "../../src/domain/Token.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("scripted", "work")

const paste = Effect.gen(function* () {
  const broker = yield* Broker
  const provider = yield* ScriptedProvider
  const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
  return { login, redirect: yield* provider.grant(login.authUrl) }
})

const loggedIn = Effect.gen(function* () {
  const broker = yield* Broker
  const { login, redirect } = yield* paste
  return yield* broker.exchange(login.sessionId, Redacted.make(redirect))
})

const device = Effect.gen(function* () {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "device_code" })
  return { login, userCode: Option.getOrThrow(login.device).userCode }
})

/** Polls until there is more to say than "pending". */
const pollToTheEnd = (sessionId: string) =>
  Effect.flatMap(Broker, (broker) =>
    broker
      .poll(sessionId)
      .pipe(Effect.delay("50 millis"), Effect.repeat({ until: ({ status }) => status !== "pending" })),
  )

/** A token as it can be compared: all redacted values look alike. */
const clear = (token: PublicToken) => ({ ...token, accessToken: Redacted.value(token.accessToken) })

const secretsOf = (redirect: string) => {
  const { searchParams } = new URL(redirect)
  return { code: searchParams.get("code") ?? "", state: searchParams.get("state") ?? "" }
}

export const suite = <E>(name: string, layer: Layer.Layer<Broker | ScriptedProvider | ApiKeys, E>) =>
  describe(`a broker ${name}`, () => {
    const test = <A, E2>(title: string, effect: Effect.Effect<A, E2, Broker | ScriptedProvider | ApiKeys>) =>
      it.live(title, () => Effect.provide(effect, layer))

    describe("logging in by pasting", () => {
      for (const [kind, textOf] of [
        ["a bare code", (redirect: string) => secretsOf(redirect).code],
        ["code#state", (redirect: string) => `${secretsOf(redirect).code}#${secretsOf(redirect).state}`],
        ["a query string", (redirect: string) => new URL(redirect).search],
        ["the whole address, and spaces", (redirect: string) => `  ${redirect}\n`],
      ] as const) {
        test(
          `accepts ${kind}`,
          Effect.gen(function* () {
            const broker = yield* Broker
            const { login, redirect } = yield* paste
            const token = yield* broker.exchange(login.sessionId, Redacted.make(textOf(redirect)))
            assert.match(Redacted.value(token.accessToken), /^access-/)
            assert.deepStrictEqual(token.extras, { account_id: "account-1" })
            assert.strictEqual(token.scope, "read offline_access")
            assert.deepStrictEqual(yield* broker.listBuckets("scripted"), ["work"])
          }),
        )
      }

      test(
        "begins with what a person needs, and nothing that is secret",
        Effect.gen(function* () {
          const { login } = yield* paste
          assert.match(login.sessionId, /^[0-9a-f]{32}$/)
          assert.closeTo(Duration.toSeconds(login.expiresIn), 600, 1)
          const asked = new URL(login.authUrl).searchParams
          assert.strictEqual(asked.get("code_challenge_method"), "S256")
          assert.isAtLeast(asked.get("state")?.length ?? 0, 22)
          assert.isFalse(asked.has("code_verifier"))
        }),
      )

      test(
        "is good for one success: a replay finds no session",
        Effect.gen(function* () {
          const broker = yield* Broker
          const { login, redirect } = yield* paste
          yield* broker.exchange(login.sessionId, Redacted.make(redirect))
          assert.strictEqual(yield* tagOf(broker.exchange(login.sessionId, Redacted.make(redirect))), "SessionNotFound")
        }),
      )

      test(
        "is good for one failure: a wrong code uses the session up, and a replay is told so",
        Effect.gen(function* () {
          const broker = yield* Broker
          const { login, redirect } = yield* paste
          const failure = yield* Effect.flip(broker.exchange(login.sessionId, Redacted.make("wrong")))
          assert.strictEqual(failure._tag, "ExchangeFailed")
          assert.strictEqual(
            failure.message,
            "The provider did not accept the code: it was wrong, used before, or too old. Begin a new login.",
          )
          assert.strictEqual(yield* tagOf(broker.exchange(login.sessionId, Redacted.make(redirect))), "SessionUsed")
          assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
        }),
      )

      test(
        "lets one of two concurrent exchanges win",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const { login, redirect } = yield* paste
          const exchange = Effect.exit(broker.exchange(login.sessionId, Redacted.make(redirect)))
          const exits = yield* Effect.all([exchange, exchange], { concurrency: 2 })
          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
          assert.deepStrictEqual(yield* provider.calls, ["authorization_code"])
        }),
      )

      test(
        "sends nothing to the provider for another login's state or another issuer",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const first = yield* paste
          const second = yield* paste
          assert.strictEqual(
            yield* tagOf(broker.exchange(first.login.sessionId, Redacted.make(second.redirect))),
            "ExchangeFailed",
          )
          const mixedUp = new URL(second.redirect)
          mixedUp.searchParams.set("iss", "https://evil.example")
          assert.strictEqual(
            yield* tagOf(broker.exchange(second.login.sessionId, Redacted.make(mixedUp.href))),
            "ExchangeFailed",
          )
          assert.deepStrictEqual(yield* provider.calls, [])
        }),
      )

      test(
        "says so when the person says no",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const { login } = yield* paste
          const redirect = yield* provider.deny(login.authUrl)
          assert.strictEqual(yield* tagOf(broker.exchange(login.sessionId, Redacted.make(redirect))), "AccessDenied")
        }),
      )
    })

    describe("logging in with a device code", () => {
      test(
        "is pending until the person is done, complete once, and then over",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const { login, userCode } = yield* device
          assert.strictEqual(login.authUrl, `https://scripted.example/device?user_code=${userCode}`)
          assert.strictEqual((yield* broker.poll(login.sessionId)).status, "pending")
          yield* provider.grantDevice(userCode)
          const progress = yield* pollToTheEnd(login.sessionId)
          assert.strictEqual(progress.status, "complete")
          assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "SessionNotFound")
          assert.match(Redacted.value((yield* broker.getToken(account)).accessToken), /^access-/)
        }),
      )

      test(
        "says once that the person said no",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const { login, userCode } = yield* device
          yield* provider.denyDevice(userCode)
          assert.strictEqual(yield* tagOf(pollToTheEnd(login.sessionId)), "AccessDenied")
          assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "SessionUsed")
        }),
      )

      test(
        "ends at once when it is cancelled",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const { login, userCode } = yield* device
          yield* broker.cancel(login.sessionId)
          yield* provider.grantDevice(userCode)
          assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "SessionNotFound")
          yield* Effect.sleep("1200 millis")
          assert.deepStrictEqual(yield* provider.calls, [])
          yield* broker.cancel(login.sessionId)
          yield* broker.cancel("unknown")
        }),
      )
    })

    describe("logging in with a browser on this machine", () => {
      const visit = (url: string, init: RequestInit = {}) => Effect.promise(() => fetch(url, init))

      test(
        "takes the one right visit among any number of wrong ones",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const login = yield* broker.initiate(account, { flow: "browser_redirect" })
          const right = yield* provider.grant(login.authUrl)
          const wrong = new URL(right)
          wrong.searchParams.set("state", "x".repeat(43))
          const junk: ReadonlyArray<readonly [string, RequestInit, number]> = [
            [new URL("/favicon.ico", right).href, {}, 404],
            [new URL("/", right).href, {}, 404],
            [right.replace(/\?.*/, ""), {}, 400],
            [wrong.href, {}, 400],
            [right, { method: "POST" }, 404],
            [right, { headers: { origin: "https://evil.example" } }, 404],
          ]
          for (let round = 0; round < 5; round++) {
            for (const [url, init, status] of junk) {
              const response = yield* visit(url, init)
              assert.strictEqual(response.status, status, url)
              const body = yield* Effect.promise(() => response.text())
              assert.notInclude(body, "evil")
              assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/)
            }
          }
          assert.strictEqual((yield* broker.poll(login.sessionId)).status, "pending")
          const page = yield* visit(right)
          assert.include(yield* Effect.promise(() => page.text()), "Signed in")
          assert.strictEqual((yield* broker.poll(login.sessionId)).status, "complete")
        }),
      )

      test(
        "tells the person in the browser, and the program, that access was not granted",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const login = yield* broker.initiate(account, { flow: "browser_redirect" })
          const page = yield* visit(yield* provider.deny(login.authUrl))
          assert.include(yield* Effect.promise(() => page.text()), "Access was not granted")
          assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "AccessDenied")
        }),
      )

      test(
        "stops listening when it is cancelled",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const login = yield* broker.initiate(account, { flow: "browser_redirect" })
          const right = yield* provider.grant(login.authUrl)
          yield* broker.cancel(login.sessionId)
          const exit = yield* Effect.exit(Effect.tryPromise(() => fetch(right)))
          assert.isTrue(Exit.isFailure(exit))
        }),
      )
    })

    describe("beginning a login", () => {
      test(
        "refuses what is not configured",
        Effect.gen(function* () {
          const broker = yield* Broker
          assert.strictEqual(yield* tagOf(broker.initiate(Account.make("nobody"))), "ProviderNotConfigured")
          const elsewhere = { flow: "pkce_redirect", redirectUri: "https://evil.example/" } as const
          assert.strictEqual(yield* tagOf(broker.initiate(account, elsewhere)), "InvalidRequest")
        }),
      )

      test(
        "names the operation that suits the flow",
        Effect.gen(function* () {
          const broker = yield* Broker
          const pasted = yield* paste
          const polled = yield* device
          const wrongPoll = yield* Effect.flip(broker.poll(pasted.login.sessionId))
          assert.strictEqual(wrongPoll._tag, "InvalidRequest")
          assert.include(wrongPoll.message, "oauth_exchange")
          const wrongExchange = yield* Effect.flip(broker.exchange(polled.login.sessionId, Redacted.make("x")))
          assert.strictEqual(wrongExchange._tag, "InvalidRequest")
          assert.include(wrongExchange.message, "oauth_poll")
        }),
      )
    })

    describe("tokens", () => {
      test(
        "are handed out as they are while they are valid for long enough, and refreshed when not",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const first = yield* loggedIn
          assert.deepStrictEqual(clear(yield* broker.getToken(account)), clear(first))
          const longer = yield* broker.getToken(account, { minimumValidity: Duration.hours(2) })
          assert.notStrictEqual(Redacted.value(longer.accessToken), Redacted.value(first.accessToken))
          assert.deepStrictEqual(yield* provider.calls, ["authorization_code", "refresh_token"])
        }),
      )

      test(
        "are refreshed at most once in a while, however often it is asked for",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          yield* loggedIn
          const tokens = yield* Effect.all(
            Array.from({ length: 20 }, () => broker.refreshToken(account)),
            { concurrency: "unbounded" },
          )
          tokens.push(yield* broker.refreshToken(account))
          assert.strictEqual(new Set(tokens.map((token) => Redacted.value(token.accessToken))).size, 1)
          assert.deepStrictEqual(yield* provider.calls, ["authorization_code", "refresh_token"])
        }),
      )

      test(
        "are still handed out while the provider refuses them, and nothing is lost",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const first = yield* loggedIn
          yield* provider.answerNext({ status: 403, body: { error: "\u001b[31mhostile" } })
          const failure = yield* Effect.flip(broker.refreshToken(account))
          assert.strictEqual(failure._tag, "RefreshFailed")
          assert.notInclude(failure.message, "hostile")
          yield* provider.answerNext({ status: 404, body: {} })
          const longer = { minimumValidity: Duration.hours(2) }
          assert.deepStrictEqual(clear(yield* broker.getToken(account, longer)), clear(first))
          assert.notStrictEqual(clear(yield* broker.refreshToken(account)).accessToken, clear(first).accessToken)
        }),
      )

      test(
        "outlast trouble of the provider's that is over in a second",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const first = yield* loggedIn
          yield* provider.answerNext({ status: 503, body: {} })
          assert.notStrictEqual(clear(yield* broker.refreshToken(account)).accessToken, clear(first).accessToken)
        }),
      )

      test(
        "say how long to wait when the provider does",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          yield* loggedIn
          yield* provider.answerNext({ status: 429, body: {}, headers: { "retry-after": "7" } })
          const failure = yield* Effect.flip(broker.refreshToken(account))
          assert.strictEqual(failure._tag, "RefreshRateLimited")
          assert.include(failure.message, "7 s")
        }),
      )

      test(
        "say how long to wait when the provider names a date, by its own clock",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          yield* provider.setPolicy({ clockSkew: "10 minutes" })
          yield* loggedIn
          yield* provider.script([Behaviour.tooManyRequests("90 seconds", "date")])
          const failure = yield* Effect.flip(broker.refreshToken(account))
          assert.strictEqual(failure._tag, "RefreshRateLimited")
          assert.match(failure.message, /in (89|90|91) s/)
        }),
      )

      test(
        "need a new login only when the provider says so, and even then are kept",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          const first = yield* loggedIn
          yield* provider.answerNext({ status: 400, body: { error: "invalid_grant" } })
          assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
          assert.deepStrictEqual(clear(yield* broker.getToken(account)), clear(first))
        }),
      )

      test(
        "keep their refresh token when an answer brings an empty one",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          yield* loggedIn
          yield* provider.answerNext({
            status: 200,
            body: { access_token: "short", token_type: "bearer", expires_in: 0, refresh_token: "" },
          })
          assert.strictEqual(Redacted.value((yield* broker.refreshToken(account)).accessToken), "short")
          // However short it lives, there is no other in half a second.
          yield* Effect.sleep("600 millis")
          assert.match(Redacted.value((yield* broker.refreshToken(account)).accessToken), /^access-/)
        }),
      )

      test(
        "without expiry have none on this side either",
        Effect.gen(function* () {
          const broker = yield* Broker
          const provider = yield* ScriptedProvider
          yield* provider.answerNext({ status: 200, body: { access_token: "eternal", token_type: "bearer" } })
          yield* loggedIn
          const token = yield* broker.getToken(account, { minimumValidity: Duration.days(10_000) })
          assert.strictEqual(Redacted.value(token.accessToken), "eternal")
          assert.notProperty(token, "expiresAt")
        }),
      )

      test(
        "can be brought from elsewhere without touching the refresh token",
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* loggedIn
          const expiresAt = DateTime.makeUnsafe("2040-01-01T00:00:00Z")
          const brought = { accessToken: Redacted.make("brought"), tokenType: "bearer", expiresAt, extras: {} }
          yield* broker.saveToken(account, brought)
          assert.strictEqual(Redacted.value((yield* broker.getToken(account)).accessToken), "brought")
          assert.match(Redacted.value((yield* broker.refreshToken(account)).accessToken), /^access-/)
        }),
      )

      test(
        "that never had a refresh token say that they cannot be refreshed",
        Effect.gen(function* () {
          const broker = yield* Broker
          const expiresAt = DateTime.makeUnsafe("2020-01-01T00:00:00Z")
          yield* broker.saveToken(account, {
            accessToken: Redacted.make("old"),
            tokenType: "bearer",
            expiresAt,
            extras: {},
          })
          assert.strictEqual(yield* tagOf(broker.getToken(account)), "RefreshNotAvailable")
          const orphan = Account.make("gone")
          yield* broker.saveToken(orphan, { accessToken: Redacted.make("x"), tokenType: "bearer", extras: {} })
          assert.strictEqual(Redacted.value((yield* broker.getToken(orphan)).accessToken), "x")
        }),
      )

      for (const [revocation, outcome] of [
        ["works", "revoked"],
        ["fails", "failed"],
        ["none", "not_offered"],
      ] as const) {
        test(
          `are forgotten where a revocation ${revocation}, and it is said that it was ${outcome}`,
          Effect.gen(function* () {
            const broker = yield* Broker
            const { families, isActive, setPolicy } = yield* ScriptedProvider
            yield* setPolicy({ revocation })
            const { accessToken } = yield* loggedIn
            assert.strictEqual(yield* broker.removeToken(account), outcome)
            assert.strictEqual(yield* isActive(accessToken), outcome !== "revoked")
            assert.strictEqual((yield* families)[0]?.dead, outcome === "revoked")
            assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
            assert.strictEqual(yield* broker.removeToken(account), "nothing")
          }),
        )
      }

      test(
        "are gone after removal, which may be repeated",
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* loggedIn
          yield* broker.removeToken(account)
          yield* broker.removeToken(account)
          assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
          assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "TokenNotFound")
          assert.deepStrictEqual(yield* broker.listBuckets("scripted"), [])
          assert.deepStrictEqual(yield* broker.listProviders, ["scripted"])
        }),
      )
    })

    describe("API keys", () => {
      test(
        "are read by name, and listed, as long as the host has them",
        Effect.gen(function* () {
          const broker = yield* Broker
          const keys = yield* ApiKeys
          const missing = yield* Effect.flip(broker.getApiKey("hub"))
          assert.strictEqual(missing._tag, "ApiKeyNotFound")
          assert.include(missing.message, "tokenkeep key set hub")
          assert.isFalse(yield* broker.hasApiKey("hub"))
          assert.deepStrictEqual(yield* broker.listApiKeys, [])
          const widest = '"'.repeat(longest)
          for (const [name, text] of [
            ["hub", "sk-hub"],
            ["it's: ключ", widest],
          ] as const) {
            yield* keys.set(name, Redacted.make(text))
            assert.strictEqual(Redacted.value(yield* broker.getApiKey(name)), text)
            assert.isTrue(yield* broker.hasApiKey(name))
          }
          assert.sameMembers([...(yield* broker.listApiKeys)], ["hub", "it's: ключ"])
          yield* keys.remove("hub")
          assert.strictEqual(yield* tagOf(broker.getApiKey("hub")), "ApiKeyNotFound")
        }),
      )
    })

    describe("statistics", () => {
      test(
        "are of accounts that somebody is logged in to, used or not",
        Effect.gen(function* () {
          const broker = yield* Broker
          const usage = yield* Usage
          const other = Account.make("scripted", "other")
          assert.strictEqual(yield* tagOf(broker.bucketStats(account)), "TokenNotFound")
          yield* loggedIn
          const unused = { bucket: "work", requestCount: 0, percentage: 0, lastUsed: Option.none() }
          assert.deepStrictEqual(yield* broker.bucketStats(account), unused)
          const before = yield* DateTime.now
          for (const asked of [account, other, account, account]) usage.count(asked)
          const { lastUsed, ...stats } = yield* broker.bucketStats(account)
          assert.deepStrictEqual(stats, { bucket: "work", requestCount: 3, percentage: 75 })
          const since = DateTime.distance(before, Option.getOrThrow(lastUsed))
          // On the wire there are whole seconds.
          assert.isTrue(Duration.between(since, { minimum: Duration.seconds(-1), maximum: Duration.seconds(5) }))
          assert.strictEqual(yield* tagOf(broker.bucketStats(other)), "TokenNotFound")
        }),
      )
    })
  })
