/**
 * How a client comes by its first tokens at the scripted provider.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import {
  authorizationUrl,
  basic,
  decodeDevice,
  redirectUri,
  verifier,
  decodeTokens,
  get,
  invalidGrant,
  jsonOf,
  post,
  refreshed,
} from "./BareClient.ts"
import type { Test } from "./ScriptedProviderContract.ts"

export const suite = (test: Test) => {
  describe("the code flow", () => {
    const redeem = (code: string, changes: { readonly [name: string]: string } = {}, init: RequestInit = {}) =>
      post(
        "/token",
        { grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirectUri, ...changes },
        init,
      )

    const codeFor = Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const redirect = yield* provider.grant(authorizationUrl(provider.provider.issuer))
      const { searchParams } = new URL(redirect)
      assert.strictEqual(searchParams.get("state"), "a state")
      assert.strictEqual(searchParams.get("iss"), provider.provider.issuer)
      return searchParams.get("code") ?? ""
    })

    test(
      "brings tokens for the right code, verifier, redirect URI and client, once",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const wrongs = [
          { code_verifier: "x".repeat(43) },
          { redirect_uri: "http://127.0.0.1/other" },
          { code: "code-0" },
        ]
        for (const wrong of wrongs) {
          const response = yield* redeem(yield* codeFor, wrong)
          assert.deepStrictEqual([response.status, yield* jsonOf(response)], [...invalidGrant])
        }
        const code = yield* codeFor
        const tokens = decodeTokens(yield* jsonOf(yield* redeem(code)))
        yield* refreshed(Redacted.make(tokens.refresh_token ?? ""))
        assert.strictEqual((yield* redeem(code)).status, 400)
        assert.containSubset(yield* provider.families, [{ number: 1, dead: true }])
        assert.deepStrictEqual(
          (yield* provider.secrets).map(([kind]) => kind).filter((kind) => kind === "verifier").length,
          5,
        )
      }),
    )

    test(
      "knows its client by the header or the body, and by one of them only",
      Effect.gen(function* () {
        const { clientId } = (yield* ScriptedProvider).provider
        const good = { client_id: clientId, client_secret: "a secret: 100%" }
        const cases: ReadonlyArray<readonly [number, { readonly [name: string]: string }, string | undefined]> = [
          [200, good, undefined],
          [200, {}, basic(clientId, "a+secret%3A+100%25")],
          [401, { ...good, client_secret: "wrong" }, undefined],
          [401, { ...good, client_id: "wrong" }, undefined],
          [401, { client_id: clientId }, undefined],
          [401, {}, undefined],
          [401, {}, basic(clientId, "wrong")],
          [401, {}, basic(clientId, "100%")],
          [401, {}, "Basic %%%"],
          [401, {}, "Bearer x"],
          [400, good, basic(clientId, "a+secret%3A+100%25")],
        ]
        for (const [status, parameters, authorization] of cases) {
          const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
          const response = yield* redeem(yield* codeFor, parameters, { headers })
          assert.strictEqual(response.status, status, JSON.stringify([parameters, authorization]))
          const challenged = status === 401 && authorization !== undefined
          assert.strictEqual(response.headers.has("www-authenticate"), challenged)
        }
      }),
      { clientSecret: Option.some(Redacted.make("a secret: 100%")) },
    )

    test(
      "takes a public client at its word",
      Effect.gen(function* () {
        const { clientId } = (yield* ScriptedProvider).provider
        const headers = {}
        assert.strictEqual((yield* redeem(yield* codeFor, { client_id: clientId }, { headers })).status, 200)
        assert.strictEqual((yield* redeem(yield* codeFor, {}, { headers })).status, 401)
      }),
      { clientSecret: Option.none() },
    )

    for (const [person, parameter] of [
      ["grants", "code"],
      ["denies", "error"],
    ] as const) {
      test(
        `ends at once where the person always ${person}`,
        Effect.gen(function* () {
          const { provider } = yield* ScriptedProvider
          const visit = (url: string) => get(url.slice(provider.issuer.length))
          const response = yield* visit(authorizationUrl(provider.issuer))
          assert.strictEqual(response.status, 302)
          const back = new URL(response.headers.get("location") ?? "")
          assert.strictEqual(back.origin + back.pathname, redirectUri)
          assert.isTrue(back.searchParams.has(parameter))
          const changes: ReadonlyArray<readonly [string, string, number]> = [
            ["redirect_uri", "javascript:alert(1)", 400],
            ["redirect_uri", "", 400],
            ["client_id", "somebody", 400],
            ["code_challenge_method", "plain", 302],
            ["response_type", "token", 302],
          ]
          for (const [name, value, status] of changes) {
            const url = new URL(authorizationUrl(provider.issuer))
            url.searchParams.set(name, value)
            const response = yield* visit(url.href)
            assert.strictEqual(response.status, status, name)
            assert.notInclude(response.headers.get("location") ?? "", "code=")
          }
        }),
        { person },
      )
    }
  })

  describe("the device flow", () => {
    const begin = Effect.gen(function* () {
      return decodeDevice(yield* jsonOf(yield* post("/device_authorization", { scope: "read" })))
    })
    const poll = Effect.fnUntraced(function* (device_code: string) {
      const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
      return yield* jsonOf(yield* post("/token", { grant_type, device_code }))
    })

    test(
      "waits for what the person does",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const yes = yield* begin
        const no = yield* begin
        assert.deepStrictEqual(yield* poll(yes.device_code), { error: "authorization_pending" })
        assert.deepStrictEqual(yield* poll(yes.device_code), { error: "authorization_pending" })
        yield* provider.grantDevice(yes.user_code)
        yield* provider.denyDevice(no.user_code)
        yield* provider.grantDevice("UNKNOWN")
        decodeTokens(yield* poll(yes.device_code))
        assert.deepStrictEqual(yield* poll(no.device_code), { error: "access_denied" })
        for (const code of [yes.device_code, no.device_code, "unknown"]) {
          assert.deepStrictEqual(yield* poll(code), { error: "invalid_grant" })
        }
      }),
    )

    test(
      "ends at the second poll where the person always grants",
      Effect.gen(function* () {
        const { device_code } = yield* begin
        assert.deepStrictEqual(yield* poll(device_code), { error: "authorization_pending" })
        decodeTokens(yield* poll(device_code))
      }),
      { person: "grants" },
    )

    test(
      "ends at the second poll where the person always denies",
      Effect.gen(function* () {
        const { device_code } = yield* begin
        assert.deepStrictEqual(yield* poll(device_code), { error: "authorization_pending" })
        assert.deepStrictEqual(yield* poll(device_code), { error: "access_denied" })
      }),
      { person: "denies" },
    )
  })
}
