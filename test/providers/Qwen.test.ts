import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { dialect } from "../../src/providers/Qwen.ts"
import { configured, layer } from "../support/emulators/Configured.ts"
import { type Emulator, problem } from "../support/emulators/Emulator.ts"
import { beginDevice, refreshAnswered } from "../support/emulators/Logins.ts"
import * as Qwen from "../support/emulators/Qwen.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("qwen")
const tokenPath = "/api/v1/oauth2/token"
const provider = ({ endpoints: { deviceAuthorization, token } }: Emulator) =>
  configured("qwen", { endpoints: { deviceAuthorization, token } })

const loggedIn = Effect.fnUntraced(function* (emulator: Emulator) {
  const device = yield* beginDevice(account)
  emulator.grant(device.userCode)
  yield* device.after(2)
})

describe("the provider qwen", () => {
  it.effect("polls every two seconds with a verifier, through a null token, and knows where its API is", () =>
    Effect.gen(function* () {
      const emulator = yield* Qwen.qwen
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        assert.match(Option.getOrThrow(login.notice), /ended/)
        yield* broker.cancel(login.sessionId)
        const device = yield* beginDevice(account)
        assert.strictEqual((yield* device.after(2)).status, "pending")
        emulator.says(Qwen.notYet)
        assert.strictEqual((yield* device.after(2)).status, "pending")
        emulator.grant(device.userCode)
        assert.strictEqual((yield* device.after(2)).status, "complete")
        const [one, ...others] = emulator.formsTo(tokenPath).map(({ code_verifier }) => code_verifier)
        assert.match(one ?? "", /^[\w-]{43}$/)
        assert.deepStrictEqual(others, [one, one])
        const { extras } = yield* broker.getToken(account)
        assert.deepStrictEqual(extras, { resource_url: "portal.qwen.ai", api_base_url: "https://portal.qwen.ai/v1" })
        // A refresh need not say it again.
        assert.deepStrictEqual((yield* broker.refreshToken(account)).extras, extras)
        yield* broker.refreshToken(account)
        const used = emulator.formsTo(tokenPath).flatMap(({ refresh_token }) => refresh_token ?? [])
        assert.strictEqual(new Set(used).size, 2)
        assert.strictEqual(yield* broker.removeToken(account), "not_offered")
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.effect("tells a 429 that means to slow down from one that is a limit", () =>
    Effect.gen(function* () {
      const emulator = yield* Qwen.qwen
      yield* Effect.gen(function* () {
        const device = yield* beginDevice(account)
        const polls = () => emulator.formsTo(tokenPath).length
        emulator.says(Qwen.slowDown, Qwen.tooMany)
        yield* device.after(2)
        assert.strictEqual(polls(), 1)
        yield* device.after(6)
        assert.strictEqual(polls(), 1)
        yield* device.after(1)
        assert.strictEqual(polls(), 2)
        emulator.grant(device.userCode)
        yield* device.after(59)
        assert.strictEqual(polls(), 2)
        assert.strictEqual((yield* device.after(1)).status, "complete")
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.effect("says when a device code is denied or, by a 401, over", () =>
    Effect.gen(function* () {
      const emulator = yield* Qwen.qwen
      yield* Effect.gen(function* () {
        for (const [end, tag] of [
          ["deny", "AccessDenied"],
          ["expire", "SessionExpired"],
        ] as const) {
          const device = yield* beginDevice(account)
          emulator[end](device.userCode)
          assert.strictEqual(yield* tagOf(device.after(2)), tag)
        }
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it.effect("ends a login by a 400 or 401 to a refresh, and by nothing else", () =>
    Effect.gen(function* () {
      const emulator = yield* Qwen.qwen
      yield* Effect.gen(function* () {
        for (const [reply, tag] of [
          [{ status: 500, body: { error: "internal" } }, "RefreshFailed"],
          [{ status: 404, body: "<html>" }, "RefreshFailed"],
          [{ status: 403, body: "<html>" }, "RefreshFailed"],
          [Qwen.tooMany, "RefreshRateLimited"],
          [problem(400, "invalid_request"), "ReauthRequired"],
          [{ status: 401, body: {} }, "ReauthRequired"],
        ] as const) {
          yield* loggedIn(emulator)
          const failure = yield* refreshAnswered(account, emulator, reply)
          assert.strictEqual(failure._tag, tag, JSON.stringify(reply))
        }
      }).pipe(Effect.provide(layer(provider(emulator), emulator.fetch)))
    }),
  )

  it("derives the address of its API from what the token says", () => {
    const record = configured("qwen", {})
    const to = { call: "refresh", method: "POST", url: "", headers: {}, encoding: "form", parameters: {} } as const
    for (const [said, base] of [
      ["portal.qwen.ai", "https://portal.qwen.ai/v1"],
      [" portal.qwen.ai/ ", "https://portal.qwen.ai/v1"],
      ["https://portal.qwen.ai/v1", "https://portal.qwen.ai/v1"],
      ["https://portal.qwen.ai/v1/", "https://portal.qwen.ai/v1"],
      ["", undefined],
      [null, undefined],
      [7, undefined],
    ] as const) {
      const body = { access_token: "a", resource_url: said }
      const understood = dialect.answer?.({ status: 200, headers: {}, body }, to, record)
      assert.ok(understood !== undefined && "body" in understood)
      assert.strictEqual(understood.body["api_base_url"], base)
      assert.strictEqual(understood.body["access_token"], "a")
    }
  })
})
