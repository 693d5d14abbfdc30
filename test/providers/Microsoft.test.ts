import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { configured, layer } from "../support/emulators/Configured.ts"
import type { Emulator } from "../support/emulators/Emulator.ts"
import { beginDevice, byBrowser, byPaste, refreshAnswered } from "../support/emulators/Logins.ts"
import * as Microsoft from "../support/emulators/Microsoft.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("microsoft")
const provider = ({ endpoints }: Emulator, said: object = {}) =>
  configured("microsoft", { endpoints, clientId: Microsoft.clientId, ...said })

const tokenPath = "/common/oauth2/v2.0/token"

describe("the provider microsoft", () => {
  it.live("logs in by the browser and from its empty page, and replaces the refresh token each time", () =>
    Effect.gen(function* () {
      const emulator = yield* Microsoft.microsoft
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        assert.strictEqual((yield* byBrowser(account, emulator)).status, "complete")
        yield* byPaste(account, emulator)
        const redirects = emulator.formsTo(tokenPath).map(({ redirect_uri }) => new URL(redirect_uri ?? "").host)
        assert.match(redirects[0] ?? "", /^localhost:\d+$/)
        assert.strictEqual(redirects[1], "login.microsoftonline.com")
        yield* broker.refreshToken(account)
        yield* broker.refreshToken(account)
        const used = emulator.formsTo(tokenPath).flatMap(({ refresh_token }) => refresh_token ?? [])
        assert.strictEqual(new Set(used).size, 2)
        assert.isTrue(used.every(emulator.isGood), "the old one is not ended there")
        assert.strictEqual(yield* broker.removeToken(account), "not_offered")
        assert.strictEqual(yield* tagOf(byBrowser(account, emulator, "deny")), "AccessDenied")
      }).pipe(Effect.provide(layer(provider(emulator))))
    }),
  )

  it.effect("logs in by a device code, and understands its words for what goes wrong with one", () =>
    Effect.gen(function* () {
      const emulator = yield* Microsoft.microsoft
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const device = yield* beginDevice(account)
        assert.strictEqual(device.authUrl, "https://microsoft.com/devicelogin")
        assert.strictEqual((yield* device.after(5)).status, "pending")
        emulator.grant(device.userCode)
        assert.strictEqual((yield* device.after(5)).status, "complete")
        assert.isTrue(emulator.isGood(Redacted.value((yield* broker.refreshToken(account)).accessToken)))
        const denied = yield* beginDevice(account)
        emulator.deny(denied.userCode)
        assert.strictEqual(yield* tagOf(denied.after(5)), "AccessDenied")
        const old = yield* beginDevice(account)
        emulator.expire(old.userCode)
        assert.strictEqual(yield* tagOf(old.after(5)), "SessionExpired")
        const unknown = yield* beginDevice(account)
        emulator.says(Microsoft.aadsts(400, "bad_verification_code", 70018, "Bad verification code."))
        assert.strictEqual(yield* tagOf(unknown.after(5)), "SessionExpired")
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.effect("says what a refusal of a refresh means, and nothing of its description", () =>
    Effect.gen(function* () {
      const emulator = yield* Microsoft.microsoft
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        for (const [code, number, tag] of [
          ["temporarily_unavailable", 90033, "RefreshFailed"],
          ["invalid_client", 7000218, "RefreshFailed"],
          ["invalid_grant", 700082, "ReauthRequired"],
          ["interaction_required", 50076, "ReauthRequired"],
          ["consent_required", 65001, "ReauthRequired"],
          ["bad_token", 70000, "ReauthRequired"],
          ["throttled", 429, "RefreshRateLimited"],
          ["not_found", 404, "RefreshFailed"],
        ] as const) {
          const device = yield* beginDevice(account)
          emulator.grant(device.userCode)
          yield* device.after(5)
          const reply = Microsoft.aadsts(
            number < 500 ? number : 400,
            code,
            number,
            "alice@contoso.example must use another door.",
          )
          const failure = yield* refreshAnswered(account, emulator, reply)
          assert.strictEqual(failure._tag, tag, code)
          assert.notMatch(failure.message, /AADSTS|alice|Trace/)
          if (tag === "RefreshFailed") yield* broker.refreshToken(account)
        }
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.effect("has no refresh token where offline_access is not among the scopes", () =>
    Effect.gen(function* () {
      const emulator = yield* Microsoft.microsoft
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const device = yield* beginDevice(account)
        emulator.grant(device.userCode)
        yield* device.after(5)
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "RefreshNotAvailable")
      }).pipe(Effect.provide(layer(provider(emulator, { scopes: ["User.Read"] }), emulator.fetch)))
    }),
  )

  it("is of one tenant where the configuration names its issuer", () => {
    const issuer = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
    const tenant = configured("microsoft", { clientId: "c", issuer })
    assert.deepStrictEqual([tenant.issuer, tenant.endpoints], [issuer, undefined])
    assert.strictEqual(tenant.api?.baseUrl, "https://graph.microsoft.com")
  })
})
