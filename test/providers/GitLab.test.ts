import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { configured, layer } from "../support/emulators/Configured.ts"
import type { Emulator } from "../support/emulators/Emulator.ts"
import * as GitLab from "../support/emulators/GitLab.ts"
import { beginDevice, byBrowser } from "../support/emulators/Logins.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("work")
const provider = ({ endpoints }: Emulator) =>
  configured("work", { extends: "gitlab", endpoints, clientId: GitLab.clientId, scopes: ["read_user"] })

describe("the provider gitlab", () => {
  it.live("logs in by the browser, uses each refresh token once, and is revoked", () =>
    Effect.gen(function* () {
      const emulator = yield* GitLab.gitlab
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* byBrowser(account, emulator)
        const first = yield* broker.getToken(account)
        yield* broker.refreshToken(account)
        assert.isFalse(emulator.isGood(Redacted.value(first.accessToken)), "a refresh ends the one before")
        const { accessToken } = yield* broker.refreshToken(account)
        const used = emulator.formsTo("/oauth/token").flatMap(({ refresh_token }) => refresh_token ?? [])
        assert.strictEqual(new Set(used).size, 2)
        assert.isFalse(used.some(emulator.isGood))
        assert.isTrue(emulator.isGood(Redacted.value(accessToken)))
        assert.strictEqual(yield* broker.removeToken(account), "revoked")
        assert.isFalse(emulator.isGood(Redacted.value(accessToken)))
        const revoked = emulator.formsTo("/oauth/revoke").map(({ token_type_hint }) => token_type_hint)
        assert.deepStrictEqual(revoked, ["refresh_token", "access_token"])
        assert.strictEqual(yield* tagOf(byBrowser(account, emulator, "deny")), "AccessDenied")
      }).pipe(Effect.provide(layer(provider(emulator))))
    }),
  )

  it.effect("logs in by a device code, which brings no refresh token", () =>
    Effect.gen(function* () {
      const emulator = yield* GitLab.gitlab
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const device = yield* beginDevice(account)
        assert.strictEqual(device.authUrl, `${emulator.origin}/oauth/device?user_code=${device.userCode}`)
        assert.strictEqual((yield* device.after(5)).status, "pending")
        emulator.grant(device.userCode)
        assert.strictEqual((yield* device.after(5)).status, "complete")
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "RefreshNotAvailable")
        assert.strictEqual(yield* broker.removeToken(account), "revoked")
        for (const [end, tag] of [
          ["deny", "AccessDenied"],
          ["expire", "SessionExpired"],
        ] as const) {
          const next = yield* beginDevice(account)
          emulator[end](next.userCode)
          assert.strictEqual(yield* tagOf(next.after(5)), tag)
        }
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.live("asks for a new login when somebody else has used the refresh token", () =>
    Effect.gen(function* () {
      const emulator = yield* GitLab.gitlab
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* byBrowser(account, emulator)
        yield* broker.refreshToken(account)
        const issued = [...Array(20).keys()].map((n) => `refresh-${n}-secret`)
        for (const token of issued) emulator.end(token)
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
      }).pipe(Effect.provide(layer(provider(emulator))))
    }),
  )

  it.live("keeps the login where it has moved, and waits as long as its rate limiter says, in plain text", () =>
    Effect.gen(function* () {
      const emulator = yield* GitLab.gitlab
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* byBrowser(account, emulator)
        emulator.says({ status: 404, body: "<html>" })
        const moved = yield* Effect.flip(broker.refreshToken(account))
        assert.include(moved.message, "nothing at the configured address")
        yield* broker.refreshToken(account)
        emulator.says(GitLab.tooMany)
        const failure = yield* Effect.flip(broker.refreshToken(account))
        assert.strictEqual(failure._tag, "RefreshRateLimited")
        assert.include(failure.message, "30 s")
      }).pipe(Effect.provide(layer(provider(emulator))))
    }),
  )

  it("elsewhere has nothing of gitlab.com but what is said anew", () => {
    const token = "https://git.example/oauth/token"
    const authorization = "https://git.example/oauth/authorize"
    const elsewhere = configured("work", {
      extends: "gitlab",
      clientId: "c",
      scopes: ["api"],
      endpoints: { token, authorization },
    })
    assert.deepStrictEqual(elsewhere.endpoints, { token, authorization })
    assert.isUndefined(elsewhere.api?.baseUrl)
    const found = configured("work", {
      extends: "gitlab",
      clientId: "c",
      scopes: ["api"],
      issuer: "https://git.example",
    })
    assert.notInclude(JSON.stringify(found), "gitlab.com")
    // The same server in another place of it is not elsewhere.
    const moved = configured("gitlab", { clientId: "c", scopes: ["api"], endpoints: { token: "https://gitlab.com/t" } })
    assert.strictEqual(moved.endpoints?.revocation, "https://gitlab.com/oauth/revoke")
  })
})
