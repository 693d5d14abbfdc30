/**
 * How the scripted provider behaves when it does not behave well.
 */
import { assert, describe } from "@effect/vitest"
import { DateTime, Duration, Effect, Redacted } from "effect"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import {
  bytesOf,
  cutOff,
  decodeTokens,
  invalidGrant,
  jsonOf,
  post,
  refreshed,
  refreshing,
  refused,
} from "./BareClient.ts"
import type { Test } from "./ScriptedProviderContract.ts"

export const suite = (test: Test) => {
  describe("the script", () => {
    test(
      "drops answers after the work, or before it",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.dropBefore, Behaviour.drop])
        const { token } = yield* provider.login
        yield* cutOff(token.refreshToken)
        assert.containSubset(yield* provider.families, [{ redemptions: 0 }])
        yield* cutOff(token.refreshToken)
        assert.containSubset(yield* provider.families, [{ redemptions: 1 }])
        assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
        assert.deepStrictEqual(
          (yield* provider.journal).map(({ answered }) => answered),
          ["dropped", "dropped", 400],
        )
      }),
    )

    test(
      "answers late, after the work",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.slow("200 millis")])
        const { token } = yield* provider.login
        const [taken] = yield* Effect.timed(refreshed(token.refreshToken))
        assert.isAtLeast(Duration.toMillis(taken), 195)
      }),
    )

    test(
      "refuses without doing anything, and then behaves well",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([
          Behaviour.tooManyRequests("2 minutes"),
          Behaviour.tooManyRequests("2 minutes", "date"),
          Behaviour.status(400, "invalid_grant"),
          Behaviour.status(503),
        ])
        const { token } = yield* provider.login
        assert.strictEqual((yield* refreshing(token.refreshToken)).headers.get("retry-after"), "120")
        const response = yield* refreshing(token.refreshToken)
        assert.strictEqual(response.status, 429)
        const until = DateTime.makeUnsafe(response.headers.get("retry-after") ?? "")
        const away = Duration.toSeconds(DateTime.distance(yield* DateTime.now, until))
        assert.isTrue(away > 110 && away <= 120, String(away))
        assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
        assert.deepStrictEqual(yield* refused(token.refreshToken), [503, {}])
        yield* refreshed(token.refreshToken)
        assert.deepStrictEqual(yield* provider.unplayed, [])
      }),
    )

    test(
      "shows something else of work that was done",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.invalidJson, Behaviour.oversized, Behaviour.truncated])
        const { token } = yield* provider.login
        const half = yield* refreshing(token.refreshToken)
        assert.strictEqual(half.status, 200)
        const text = yield* Effect.promise(() => half.text())
        assert.throws(() => JSON.parse(text))
        const large = yield* Effect.flatMap(refreshing((yield* provider.login).token.refreshToken), bytesOf)
        assert.isAbove(large.byteLength, 1024 * 1024)
        decodeTokens(JSON.parse(new TextDecoder().decode(large)))
        const cut = yield* refreshing((yield* provider.login).token.refreshToken)
        assert.strictEqual(cut.status, 200)
        assert.isAbove(Number(cut.headers.get("content-length")), 100)
        assert.instanceOf((yield* Effect.flip(bytesOf(cut))).cause, TypeError)
        assert.deepStrictEqual(
          (yield* provider.families).map(({ redemptions }) => redemptions),
          [1, 1, 1],
        )
      }),
    )

    test(
      "redirects, and notices who follows",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.redirect, Behaviour.redirect, Behaviour.redirect])
        const { token } = yield* provider.login
        const kept = yield* refreshing(token.refreshToken)
        assert.strictEqual(kept.status, 307)
        assert.isTrue(kept.headers.get("location")?.startsWith(provider.provider.issuer))
        const followed = yield* refreshing(token.refreshToken, { redirect: "follow" })
        assert.strictEqual(followed.status, 404)
        yield* Effect.flip(refreshing(token.refreshToken, { redirect: "error" }))
        assert.deepStrictEqual(
          (yield* provider.journal).map(({ answered }) => answered),
          [307, 307, 404, 307],
        )
        yield* refreshed(token.refreshToken)
      }),
    )

    test(
      "leaves the refresh token out, and then it stays good",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.omitRefreshToken])
        const { token } = yield* provider.login
        assert.strictEqual(Redacted.value((yield* refreshed(token.refreshToken)).refreshToken), "")
        yield* refreshed(token.refreshToken)
        assert.containSubset(yield* provider.families, [{ redemptions: 2, dead: false }])
      }),
    )

    test(
      "says anything of the lifetime",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const values = ["3600", 0, -5, 1e300, null]
        yield* provider.script([...values.map(Behaviour.expiresIn), Behaviour.expiresIn()])
        let { refreshToken } = (yield* provider.login).token
        for (const value of [...values, undefined]) {
          const tokens = yield* refreshed(refreshToken)
          assert.strictEqual(tokens.expiresIn, value)
          refreshToken = tokens.refreshToken
        }
      }),
    )

    test(
      "hangs until the client has had enough",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([Behaviour.hang])
        const { token } = yield* provider.login
        const refused = yield* Effect.flip(refreshing(token.refreshToken, { signal: AbortSignal.timeout(100) }))
        assert.containSubset(refused.cause, { name: "TimeoutError" })
        assert.containSubset(yield* provider.journal, [{ answered: "hanging" }])
        yield* refreshed(token.refreshToken)
      }),
    )

    test(
      "waits for a refresh, unless a step is for any call; and it is played in turn",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.script([
          Behaviour.onAnyCall(Behaviour.status(503)),
          Behaviour.status(502),
          Behaviour.onAnyCall(Behaviour.status(501)),
        ])
        const { token } = yield* provider.login
        const exchange = Effect.map(post("/token", { grant_type: "authorization_code" }), ({ status }) => status)
        assert.deepStrictEqual([yield* exchange, yield* exchange, yield* exchange], [503, 400, 400])
        assert.strictEqual((yield* refused(token.refreshToken))[0], 502)
        assert.strictEqual(yield* exchange, 501)
        yield* refreshed(token.refreshToken)
      }),
    )

    test(
      "says word for word what it is told to",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const answer = { status: 418, body: [1, { a: null }], headers: { "x-tea": "yes" } }
        yield* provider.answerNext(answer)
        const response = yield* post("/token", {})
        assert.strictEqual(response.status, 418)
        assert.strictEqual(response.headers.get("x-tea"), "yes")
        assert.deepStrictEqual(yield* jsonOf(response), answer.body)
        yield* provider.answerNext({ status: 204, body: null })
        assert.strictEqual((yield* post("/token", {})).status, 204)
      }),
    )

    test(
      "can be given at the start",
      Effect.gen(function* () {
        const { token } = yield* (yield* ScriptedProvider).login
        assert.strictEqual((yield* refused(token.refreshToken))[0], 599)
        yield* refreshed(token.refreshToken)
      }),
      { script: [Behaviour.status(599)] },
    )
  })
}
