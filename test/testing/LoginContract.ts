/**
 * How the scripted provider treats a login, by its policy.
 */
import { assert, describe } from "@effect/vitest"
import { DateTime, Duration, Effect, Redacted } from "effect"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { get, invalidGrant, jsonOf, refreshed, refreshing, refused } from "./BareClient.ts"
import type { Test } from "./ScriptedProviderContract.ts"

export const suite = (test: Test) => {
  describe("a login", () => {
    test(
      "is there without a flow, and can be refreshed again and again",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { family, token } = yield* provider.login
        assert.strictEqual(family, 1)
        assert.isTrue(yield* provider.isActive(token.accessToken))
        const first = yield* refreshed(token.refreshToken)
        const second = yield* refreshed(first.refreshToken)
        assert.isTrue(yield* provider.isActive(second.accessToken))
        assert.deepStrictEqual(yield* provider.families, [
          { number: 1, redemptions: 2, refusals: 0, reuses: 0, dead: false },
        ])
        assert.deepStrictEqual(yield* provider.calls, ["refresh_token", "refresh_token"])
      }),
    )

    test(
      "dies with all its tokens when a refresh token is used twice, and other logins do not",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { token } = yield* provider.login
        const other = yield* provider.login
        const first = yield* refreshed(token.refreshToken)
        assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
        assert.deepStrictEqual(yield* refused(first.refreshToken), invalidGrant)
        assert.isFalse(yield* provider.isActive(first.accessToken))
        yield* refreshed(other.token.refreshToken)
        assert.deepStrictEqual(yield* provider.families, [
          { number: 1, redemptions: 1, refusals: 2, reuses: 1, dead: true },
          { number: 2, redemptions: 1, refusals: 0, reuses: 0, dead: false },
        ])
        const seen = (yield* provider.journal).map(({ presented }) => presented)
        assert.deepStrictEqual(seen, [
          { was: "live", family: 1, token: 1 },
          { was: "spent", family: 1, token: 1 },
          { was: "revoked", family: 1, token: 2 },
          { was: "live", family: 2, token: 1 },
        ])
      }),
    )

    test(
      "has one winner among a thousand concurrent uses of one refresh token",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        yield* provider.setPolicy({ reuse: "refuse" })
        const { token } = yield* provider.login
        const responses = yield* Effect.all(
          Array.from({ length: 1000 }, () => refreshing(token.refreshToken)),
          { concurrency: 100 },
        )
        yield* Effect.forEach(responses, jsonOf, { concurrency: "unbounded" })
        assert.strictEqual(responses.filter(({ status }) => status === 200).length, 1)
        assert.deepStrictEqual(yield* provider.families, [
          { number: 1, redemptions: 1, refusals: 999, reuses: 999, dead: false },
        ])
      }),
    )
  })

  describe("the policy", () => {
    test(
      "of keeping refresh tokens brings no new one",
      Effect.gen(function* () {
        const { token } = yield* (yield* ScriptedProvider).login
        for (let round = 0; round < 3; round++) {
          assert.strictEqual(Redacted.value((yield* refreshed(token.refreshToken)).refreshToken), "")
        }
      }),
      { rotation: "keep" },
    )

    test(
      "of a grace brings a further pair for the previous token, until its successor is used",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { token } = yield* provider.login
        yield* refreshed(token.refreshToken)
        const further = yield* refreshed(token.refreshToken)
        yield* refreshed(further.refreshToken)
        assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
        assert.containSubset(yield* provider.families, [{ redemptions: 3, reuses: 1, dead: true }])
      }),
      { grace: "1 minute" },
    )

    test(
      "of refusing reuse leaves the login alive",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { token } = yield* provider.login
        const first = yield* refreshed(token.refreshToken)
        assert.deepStrictEqual(yield* refused(token.refreshToken), invalidGrant)
        yield* refreshed(first.refreshToken)
        assert.containSubset(yield* provider.families, [{ reuses: 1, dead: false }])
      }),
      { reuse: "refuse" },
    )

    test(
      "changes while the server runs: lifetimes, the issuer in the metadata, the clock",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { token } = yield* provider.login
        yield* provider.setPolicy({
          accessTokenLifetime: "7 seconds",
          metadataIssuer: "https://other.example",
          clockSkew: Duration.hours(-2),
        })
        assert.strictEqual((yield* refreshed(token.refreshToken)).expiresIn, 7)
        const response = yield* get("/.well-known/oauth-authorization-server")
        assert.containSubset(yield* jsonOf(response), { issuer: "https://other.example" })
        const late = DateTime.subtract(yield* DateTime.now, { hours: 2 })
        const said = DateTime.makeUnsafe(response.headers.get("date") ?? "")
        assert.isBelow(Duration.toSeconds(Duration.abs(DateTime.distance(said, late))), 5)
        yield* provider.setPolicy({ metadataIssuer: undefined })
        const again = yield* jsonOf(yield* get("/.well-known/openid-configuration"))
        assert.containSubset(again, { issuer: provider.provider.issuer })
      }),
    )
  })
}
