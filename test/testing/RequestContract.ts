/**
 * What the scripted provider does with requests that nobody should send.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import * as fc from "fast-check"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { basic, get, jsonOf, post, refreshed, refused } from "./BareClient.ts"
import type { Test } from "./ScriptedProviderContract.ts"

const parameterNames = ["grant_type", "code", "code_verifier", "refresh_token", "device_code", "client_id", "scope"]
const grantTypes = ["refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "x"]
const randomParameters = fc
  .array(fc.tuple(fc.constantFrom(...parameterNames), fc.oneof(fc.constantFrom(...grantTypes), fc.string())))
  .map((entries) => new URLSearchParams(entries).toString())
const paths = ["/token", "/authorize", "/device_authorization", "/device", "/resource", "/elsewhere", "/"]

/** What a confused client, or an unkind one, might send. */
const randomRequest = fc
  .record({
    method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"),
    path: fc.oneof(
      fc.constantFrom(...paths),
      fc.tuple(fc.constantFrom(...paths), randomParameters).map(([path, query]) => `${path}?${query}`),
      fc.webPath(),
    ),
    body: fc.oneof(randomParameters, fc.string(), fc.uint8Array(), fc.constant("x".repeat(70_000))),
    contentType: fc.constantFrom("application/x-www-form-urlencoded", "application/json", "text/plain; charset=x"),
    authorization: fc.oneof(
      fc.constant(basic("scripted-client", "client-secret")),
      fc.base64String().map((text) => `Basic ${text}`),
      fc.constantFrom("Basic", "Bearer x", "x"),
    ),
  })
  .map(({ authorization, body, contentType, method, path }) => ({
    path,
    method,
    headers: { authorization, "content-type": contentType },
    ...(method !== "GET" && method !== "HEAD" && { body }),
  }))

export const suite = (test: Test) => {
  describe("otherwise", () => {
    test(
      "has a resource that takes good access tokens",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { token } = yield* provider.login
        const visit = (authorization: string) =>
          Effect.map(get("/resource", { headers: { authorization } }), ({ status }) => status)
        const bearer = `Bearer ${Redacted.value(token.accessToken)}`
        assert.strictEqual(yield* visit(bearer), 200)
        assert.strictEqual(yield* visit("Bearer x"), 401)
        const stale = yield* provider.login
        yield* refreshed(stale.token.refreshToken)
        yield* refused(stale.token.refreshToken)
        assert.strictEqual(yield* visit(`Bearer ${Redacted.value(stale.token.accessToken)}`), 401)
        assert.strictEqual(yield* visit(bearer), 200)
      }),
    )

    test(
      "refuses what is no request of OAuth",
      Effect.gen(function* () {
        const form = "application/x-www-form-urlencoded"
        const headers = { authorization: basic("scripted-client", "client-secret"), "content-type": form }
        const send = (body: string, more: RequestInit = {}) => post("/token", {}, { body, headers, ...more })
        assert.deepStrictEqual(yield* jsonOf(yield* send("")), { error: "invalid_request" })
        const twice = yield* send("grant_type=refresh_token&grant_type=refresh_token")
        assert.deepStrictEqual(yield* jsonOf(twice), { error: "invalid_request" })
        const other = yield* send("grant_type=password")
        assert.deepStrictEqual(yield* jsonOf(other), { error: "unsupported_grant_type" })
        const asJson = { ...headers, "content-type": "application/json" }
        assert.strictEqual((yield* send('{"grant_type":"refresh_token"}', { headers: asJson })).status, 400)
        assert.strictEqual((yield* send("x".repeat(100_000))).status, 413)
        assert.strictEqual((yield* get("/token")).status, 405)
        assert.strictEqual((yield* get("/nowhere")).status, 404)
        assert.strictEqual((yield* get("/authorize")).status, 403)
        const { status, headers: answered } = yield* get("/.well-known/openid-configuration", { method: "HEAD" })
        assert.strictEqual(status, 200)
        assert.isAbove(Number(answered.get("content-length")), 100)
      }),
    )

    test(
      "issues nothing for a thousand random requests, and goes on",
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const fetch = yield* FetchHttpClient.Fetch
        const statuses = yield* Effect.forEach(
          fc.sample(randomRequest, 1000),
          ({ path, ...init }) =>
            Effect.promise(() =>
              fetch(`${provider.provider.issuer}${path}`, { ...init, redirect: "manual" }).then((response) =>
                response.arrayBuffer().then(() => response.status),
              ),
            ),
          { concurrency: 50 },
        )
        for (const status of statuses) assert.isTrue(status >= 200 && status < 500, String(status))
        assert.isAbove(new Set(statuses).size, 4)
        assert.deepStrictEqual(yield* provider.families, [])
        yield* refreshed((yield* provider.login).token.refreshToken)
      }),
    )
  })
}
