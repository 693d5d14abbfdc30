/**
 * What only the server in process can be asked: its time is Effect's, so tests can make it pass.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { lineOf } from "../../src/testing/Journal.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { invalidGrant, refreshed, refreshing, refused } from "./BareClient.ts"
import { suite } from "./ScriptedProviderContract.ts"

suite("in process", ScriptedProvider.layer)

describe("time", () => {
  it.effect("is waited for on the clock of the test", () =>
    Effect.gen(function* () {
      const called = yield* Deferred.make<void>()
      const onCall = () => Effect.asVoid(Deferred.succeed(called, undefined))
      yield* Effect.gen(function* () {
        const { login } = yield* ScriptedProvider
        const { token } = yield* login
        const fiber = yield* Effect.forkChild(refreshed(token.refreshToken))
        yield* Deferred.await(called)
        yield* TestClock.adjust("59 minutes")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide(ScriptedProvider.layer({ script: [Behaviour.slow("1 hour")], onCall })))
    }),
  )

  it.effect("ends the grace of a refresh token, and then its use ends the login", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const { token } = yield* provider.login
      yield* refreshed(token.refreshToken)
      yield* TestClock.adjust("29 seconds")
      const further = yield* refreshed(token.refreshToken)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
      assert.deepStrictEqual(yield* refused(further.refreshToken), invalidGrant)
      const seen = (yield* provider.journal).map(({ presented }) => presented?.was)
      assert.deepStrictEqual(seen, ["live", "in-grace", "spent", "revoked"])
    }).pipe(Effect.provide(ScriptedProvider.layer({ grace: "30 seconds" }))),
  )

  it.effect("ends access tokens", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const { token } = yield* provider.login
      yield* TestClock.adjust("59 seconds")
      assert.isTrue(yield* provider.isActive(token.accessToken))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* provider.isActive(token.accessToken))
    }).pipe(Effect.provide(ScriptedProvider.layer({ accessTokenLifetime: "1 minute" }))),
  )
})

describe("the fetch", () => {
  it.effect("reaches nothing but the server", () =>
    Effect.gen(function* () {
      const fetch = yield* FetchHttpClient.Fetch
      const error = yield* Effect.flip(Effect.tryPromise(() => fetch("https://elsewhere.example/token")))
      assert.instanceOf(error.cause, TypeError)
      assert.instanceOf((yield* Effect.flip(Effect.tryPromise(() => fetch("no address")))).cause, TypeError)
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("stops at once for a signal that was given before", () =>
    Effect.gen(function* () {
      const { login, journal } = yield* ScriptedProvider
      const { token } = yield* login
      const { cause } = yield* Effect.flip(refreshing(token.refreshToken, { signal: AbortSignal.abort("enough") }))
      assert.strictEqual(cause, "enough")
      assert.deepStrictEqual(yield* journal, [])
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )
})

describe("the journal", () => {
  it.effect("is printed without a secret, whatever is sent", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const { token } = yield* provider.login
      const next = yield* refreshed(token.refreshToken)
      yield* provider.answerNext({ status: 200, body: { access_token: "literal-token" } })
      yield* refreshing(next.refreshToken)
      yield* refreshing(Redacted.make("guessed-token"))
      const lines = (yield* provider.journal).map(lineOf).join("\n")
      const secrets = [...(yield* provider.secrets).map(([, value]) => value), "literal-token", "guessed-token"]
      for (const secret of [...secrets, Redacted.value(next.accessToken)]) assert.notInclude(lines, secret)
      assert.deepStrictEqual(lines.split("\n"), [
        '{"at":"1970-01-01T00:00:00.000Z","grant_type":"refresh_token","behaviour":"ok","answered":200,"presented":{"was":"live","family":1,"token":1},"issued":{"family":1,"token":2}}',
        '{"at":"1970-01-01T00:00:00.000Z","grant_type":"refresh_token","behaviour":"literal:200","answered":200}',
        '{"at":"1970-01-01T00:00:00.000Z","grant_type":"refresh_token","behaviour":"ok","answered":400,"presented":{"was":"unknown"}}',
      ])
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )
})
