/**
 * The contract of providers: what is right passes it, and what is wrong in one place fails where that is.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { defineProvider } from "../../src/broker/ProviderPlugin.ts"
import type { ProviderDefinition } from "../../src/oauth/Provider.ts"
import { type Options, providerContract, scriptedEmulator } from "../../src/testing/ProviderContract.ts"

const example = defineProvider({
  name: "example",
  record: {
    endpoints: {
      authorization: "https://example.com/authorize",
      token: "https://example.com/token",
      deviceAuthorization: "https://example.com/device",
      revocation: "https://example.com/revoke",
    },
    clientId: "example-client",
    scopes: ["read"],
    flows: ["browser_redirect", "pkce_redirect", "device_code"],
    redirectUris: ["http://127.0.0.1:4815/callback", "https://example.com/code"],
    bodies: { exchange: "json", refresh: "json" },
    errors: [
      { code: "session_over", means: "relogin" },
      { calls: ["refresh"], status: 418, means: "trouble" },
      { calls: ["poll"], code: "wait", means: "pending" },
    ],
  },
})

describe("the contract of a provider that is as its record says", () => {
  for (const { name, run } of providerContract(example)) it.live(name, () => run)
})

describe("the contract of a provider that has an issuer, and of which the test has to say more", () => {
  const partial: ProviderDefinition = {
    name: "partial",
    record: { issuer: "https://partial.example", scopes: [], flows: ["device_code"] },
  }
  for (const { name, run } of providerContract(partial, { record: { clientId: "mine" } })) it.effect(name, () => run)

  it.effect("says so", () =>
    Effect.gen(function* () {
      const [only] = providerContract(partial)
      const failure = yield* Effect.flip(only?.run ?? Effect.void)
      assert.include(String(failure), "the test has to say its clientId")
    }),
  )
})

/** The names of the tests that fail. */
const failing = (definition: ProviderDefinition, options: Options = {}) =>
  Effect.forEach(providerContract(definition, options), ({ name, run }) =>
    Effect.match(run, { onFailure: ({ message }) => [`${name}: ${message}`], onSuccess: () => [] }),
  ).pipe(Effect.map((names) => names.flat()))

describe("the contract fails", () => {
  const { record } = example
  const byPaste: ProviderDefinition = {
    name: "wrong",
    record: { ...record, flows: ["pkce_redirect"], redirectUris: ["https://example.com/code"] },
  }

  it.live("where a secret is public", () =>
    Effect.gen(function* () {
      const failed = yield* failing(
        {
          ...byPaste,
          dialect: {
            // The old mistake: a refresh token under another name, among the fields that may leave.
            answer: ({ body, ...answer }) => ({ ...answer, body: { ...body, account_id: body["refresh_token"] } }),
          },
        },
        { emulator: scriptedEmulator(byPaste) },
      )
      assert.match(failed.join("\n"), /says no secret: .*has its refresh_token/)
    }),
  )

  it.live("where a login that is over is taken for trouble", () =>
    Effect.gen(function* () {
      const errors = [{ code: "invalid_grant", means: "trouble" as const }]
      const failed = yield* failing({ ...byPaste, record: { ...byPaste.record, errors } })
      assert.lengthOf(failed, 1)
      assert.match(failed.join("\n"), /wants a new login/)
    }),
  )

  it.live("where a refresh brings nothing new", () =>
    Effect.gen(function* () {
      const dialect: ProviderDefinition["dialect"] = {
        answer: ({ body, ...answer }) => ({
          ...answer,
          body: { ...body, ...("access_token" in body && { access_token: "old" }) },
        }),
      }
      const failed = yield* failing({ ...byPaste, dialect }, { emulator: scriptedEmulator(byPaste) })
      assert.match(failed.join("\n"), /has brought the access token that was there/)
    }),
  )

  it.effect("where the scripted server cannot speak as the vendor does", () =>
    Effect.gen(function* () {
      const failed = yield* failing({ ...byPaste, dialect: {} })
      assert.lengthOf(failed, 1)
      assert.match(failed.join("\n"), /Give an emulator/)
    }),
  )
})
