import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { configured, layer } from "../support/emulators/Configured.ts"
import type { Emulator } from "../support/emulators/Emulator.ts"
import * as Google from "../support/emulators/Google.ts"
import { beginDevice, byBrowser, byPaste, refreshAnswered } from "../support/emulators/Logins.ts"
import { tagOf } from "../support/tagOf.ts"

const secret = Option.some(Redacted.make(Google.clientSecret))

const own = Account.make("google")
const ownClient = (emulator: Emulator) => ({
  ...configured("google", { endpoints: emulator.endpoints, clientId: Google.clientId, scopes: ["openid", "email"] }),
  secret,
})

const gemini = Account.make("gemini")
const geminiCli = ({ endpoints }: Emulator) => ({
  ...configured("gemini", { endpoints }),
  secret,
})

const accessOf = ({ accessToken }: { readonly accessToken: Redacted.Redacted }) => Redacted.value(accessToken)

describe("the provider gemini", () => {
  it.live("logs in by the browser, refreshes without a new refresh token, and is revoked", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.gemini
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        assert.strictEqual((yield* byBrowser(gemini, emulator)).status, "complete")
        const first = accessOf(yield* broker.getToken(gemini))
        const second = accessOf(yield* broker.refreshToken(gemini))
        const third = accessOf(yield* broker.refreshToken(gemini))
        assert.strictEqual(new Set([first, second, third]).size, 3)
        const [, ...refreshes] = emulator.formsTo("/token")
        assert.deepStrictEqual(new Set(refreshes.map(({ refresh_token }) => refresh_token)).size, 1)
        assert.strictEqual(yield* broker.removeToken(gemini), "revoked")
        assert.isFalse(emulator.isGood(refreshes[0]?.["refresh_token"] ?? ""))
        assert.isFalse(emulator.isGood(third))
      }).pipe(Effect.provide(layer(geminiCli(emulator))))
    }),
  )

  it.live("takes the bare code that its page shows, and says what its terms are", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.gemini
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        // Of a code nothing is to be cut off, whatever is in it.
        const copied = ({ searchParams }: URL) => ` ${searchParams.get("code")}\n`
        assert.isTrue(emulator.isGood(accessOf(yield* byPaste(gemini, emulator, copied))))
        const login = yield* broker.initiate(gemini, { flow: "pkce_redirect" })
        assert.match(Option.getOrThrow(login.notice), /suspended/)
        assert.strictEqual(
          new URL(login.authUrl).searchParams.get("redirect_uri"),
          "https://codeassist.google.com/authcode",
        )
        const wrong = yield* Effect.flip(broker.exchange(login.sessionId, Redacted.make("4/wrong#part")))
        assert.strictEqual(wrong._tag, "ExchangeFailed")
        assert.strictEqual(emulator.formsTo("/token").at(-1)?.["code"], "4/wrong#part")
      }).pipe(Effect.provide(layer(geminiCli(emulator))))
    }),
  )

  it.live("asks for a new login when a company's session policy does, in words of our own", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.gemini
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* byPaste(gemini, emulator)
        emulator.says(Google.rapt)
        const failure = yield* Effect.flip(broker.refreshToken(gemini))
        assert.strictEqual(failure._tag, "ReauthRequired")
        assert.notMatch(failure.message + JSON.stringify(failure), /rapt|reauth related/i)
      }).pipe(Effect.provide(layer(geminiCli(emulator))))
    }),
  )

  it.live("without the client's secret is refused, and nobody is logged out for it", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.gemini
      yield* Effect.gen(function* () {
        const failure = yield* Effect.flip(byPaste(gemini, emulator))
        assert.include(failure.message, "invalid_request")
      }).pipe(Effect.provide(layer({ ...geminiCli(emulator), secret: Option.none() })))
    }),
  )
})

describe("the provider google", () => {
  it.effect("logs in by a device code, at the pace that it asks for", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.google
      yield* Effect.gen(function* () {
        const device = yield* beginDevice(own)
        assert.strictEqual(device.verificationUri, "https://www.google.com/device")
        assert.strictEqual((yield* device.after(5)).status, "pending")
        // That it is asked too often is a 403 there.
        emulator.says({ status: 403, body: { error: "slow_down", error_description: "Forbidden" } })
        assert.strictEqual((yield* device.after(5)).status, "pending")
        const polls = () => emulator.formsTo("/token").length
        emulator.grant(device.userCode)
        assert.strictEqual((yield* device.after(9)).status, "pending")
        assert.strictEqual(polls(), 2)
        assert.strictEqual((yield* device.after(1)).status, "complete")
        assert.strictEqual(polls(), 3)
        const broker = yield* Broker
        const { refresh_token } = emulator.formsTo("/token").at(-1) ?? {}
        assert.isUndefined(refresh_token)
        assert.isTrue(emulator.isGood(accessOf(yield* broker.refreshToken(own))))
      }).pipe(Effect.provide(layer(ownClient(emulator), emulator.fetch)))
    }),
  )

  for (const [what, end, tag] of [
    ["denied", "deny", "AccessDenied"],
    ["too old", "expire", "SessionExpired"],
  ] as const) {
    it.effect(`says when a device code is ${what}`, () =>
      Effect.gen(function* () {
        const emulator = yield* Google.google
        yield* Effect.gen(function* () {
          const device = yield* beginDevice(own)
          emulator[end](device.userCode)
          assert.strictEqual(yield* tagOf(device.after(5)), tag)
        }).pipe(Effect.provide(layer(ownClient(emulator), emulator.fetch)))
      }),
    )
  }

  it.live(
    "begins by the browser where the client is not made for device codes, and has a refresh token each time",
    () =>
      Effect.gen(function* () {
        const emulator = yield* Google.gemini
        const desktop = {
          ...ownClient(emulator),
          clientId: configured("gemini", {}).clientId,
          endpoints: { ...emulator.endpoints, deviceAuthorization: `${emulator.origin}/none` },
        }
        yield* Effect.gen(function* () {
          const broker = yield* Broker
          const login = yield* broker.initiate(own)
          assert.strictEqual(login.flowType, "browser_redirect")
          yield* broker.cancel(login.sessionId)
          for (const _ of [1, 2]) {
            assert.strictEqual((yield* byBrowser(own, emulator)).status, "complete")
            yield* broker.refreshToken(own)
          }
          assert.strictEqual(yield* tagOf(byBrowser(own, emulator, "deny")), "AccessDenied")
        }).pipe(Effect.provide(layer(desktop)))
      }),
  )

  it.effect("tells a limit on requests from a refusal, also where its code has another name", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.google
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        emulator.says({ status: 403, body: { error_code: "rate_limit_exceeded" } })
        const failure = yield* Effect.flip(broker.initiate(own, { flow: "device_code" }))
        assert.match(failure.message, /asks for fewer requests/)
      }).pipe(Effect.provide(layer(ownClient(emulator), emulator.fetch)))
    }),
  )

  it.effect("is revoked where it was revoked before, and ends only by its own word", () =>
    Effect.gen(function* () {
      const emulator = yield* Google.google
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const device = yield* beginDevice(own)
        emulator.grant(device.userCode)
        yield* device.after(5)
        for (const [reply, tag, words] of [
          [{ status: 503, body: "busy" }, "RefreshFailed", /trouble of its own/],
          [{ status: 404, body: "<html>" }, "RefreshFailed", /nothing at the configured address/],
          [{ status: 401, body: { error: "invalid_client" } }, "RefreshFailed", /invalid_client/],
          [{ status: 429, body: { error: "rate_limit_exceeded" } }, "RefreshRateLimited", /60 s/],
        ] as const) {
          const failure = yield* refreshAnswered(own, emulator, reply)
          assert.strictEqual(failure._tag, tag, JSON.stringify(reply))
          assert.match(failure.message, words)
        }
        yield* broker.refreshToken(own)
        const [token] = emulator.formsTo("/token").flatMap(({ refresh_token }) => refresh_token ?? [])
        emulator.end(token ?? "")
        assert.strictEqual(yield* tagOf(broker.refreshToken(own)), "ReauthRequired")
        assert.strictEqual(yield* broker.removeToken(own), "revoked")
      }).pipe(Effect.provide(layer(ownClient(emulator), emulator.fetch)))
    }),
  )
})
