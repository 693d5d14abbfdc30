import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Anthropic from "../support/emulators/Anthropic.ts"
import { configured, layer, pass, pathsOf, refusedRefresh } from "../support/emulators/Configured.ts"
import { type Emulator, problem, type Reply } from "../support/emulators/Emulator.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("anthropic")
const tokenPath = "/v1/oauth/token"

/** With the emulator in place of Anthropic, and its sockets or not. */
const at = <A, E>(
  work: (emulator: Emulator) => Effect.Effect<A, E, Broker>,
  options: { readonly inProcess?: boolean } = {},
) =>
  Effect.gen(function* () {
    const emulator = yield* Anthropic.anthropic
    const provider = configured("anthropic", { endpoints: emulator.endpoints })
    const host = layer(provider, options.inProcess === true ? emulator.fetch : globalThis.fetch)
    return yield* Effect.provide(work(emulator), host)
  })

const pasted = (address: string) => {
  const query = new URL(address).searchParams
  return Redacted.make(`${query.get("code")}#${query.get("state")}`)
}

const loggedIn = Effect.fnUntraced(function* (emulator: Emulator) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
  return yield* broker.exchange(login.sessionId, pasted(emulator.visit(login.authUrl)))
})

describe("Anthropic", () => {
  it.live("is where its emulator is, but for the host", () =>
    Effect.gen(function* () {
      const { endpoints } = yield* Anthropic.anthropic
      assert.deepStrictEqual(pathsOf(configured("anthropic", {}).endpoints), pathsOf(endpoints))
    }),
  )

  it.live("logs in with a browser, and refreshes with a token that changes each time", () =>
    at((emulator) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        assert.strictEqual(login.flowType, "browser_redirect")
        assert.include(Option.getOrThrow(login.notice), "terms")
        const page = yield* Effect.promise(() => fetch(emulator.visit(login.authUrl)))
        assert.strictEqual(page.status, 200)
        const first = yield* broker.poll(login.sessionId)
        assert.strictEqual(first.status, "complete")
        const second = yield* broker.refreshToken(account)
        const third = yield* broker.refreshToken(account)
        assert.notStrictEqual(Redacted.value(second.accessToken), Redacted.value(third.accessToken))
        assert.deepStrictEqual(third.extras, {})
        const sent = emulator.requests.filter(({ path }) => path === tokenPath)
        assert.deepStrictEqual(
          sent.map(({ json = {} }) => Object.keys(json).toSorted()),
          [
            ["client_id", "code", "code_verifier", "grant_type", "redirect_uri", "state"],
            ["client_id", "grant_type", "refresh_token"],
            ["client_id", "grant_type", "refresh_token"],
          ],
        )
        for (const { headers } of sent) assert.match(headers.get("user-agent") ?? "", /^tokenkeep\//)
        assert.strictEqual(yield* broker.removeToken(account), "not_offered")
      }),
    ),
  )

  it.live("takes a pasted code of either page, and of no other login", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          for (const redirectUri of Anthropic.hostedPages) {
            const login = yield* broker.initiate(account, { flow: "pkce_redirect", redirectUri })
            const address = emulator.visit(login.authUrl)
            assert.isTrue(address.startsWith(redirectUri))
            yield* broker.exchange(login.sessionId, pasted(address))
          }
          const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
          assert.isTrue(emulator.visit(login.authUrl).startsWith("https://platform.claude.com/"))
          const sent = emulator.requests.length
          const error = yield* Effect.flip(broker.exchange(login.sessionId, Redacted.make("a-code#another-state")))
          assert.include(error.message, "another login's state")
          assert.lengthOf(emulator.requests, sent)
        }),
      { inProcess: true },
    ),
  )

  it.live("says that a person said no", () =>
    at((emulator) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        yield* Effect.promise(() => fetch(emulator.visit(login.authUrl, "deny")))
        assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "AccessDenied")
        const paste = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const address = emulator.visit(paste.authUrl, "deny")
        assert.strictEqual(yield* tagOf(broker.exchange(paste.sessionId, Redacted.make(address))), "AccessDenied")
      }),
    ),
  )

  const refusals: ReadonlyArray<readonly [what: string, reply: Reply, tag: string, words: string]> = [
    ["a grant that is gone", problem(400, "invalid_grant"), "ReauthRequired", "new login"],
    ["an address that has moved", Anthropic.moved, "RefreshFailed", "nothing at the configured address (HTTP 404)"],
    ["too many requests", Anthropic.tooMany, "RefreshRateLimited", "90 s"],
    ["trouble of its own", Anthropic.overloaded, "RefreshFailed", "trouble of its own"],
    ["a client it does not like", problem(400, "invalid_client"), "RefreshFailed", "invalid_client"],
  ]
  for (const [what, reply, tag, words] of refusals) {
    it.effect(`tells of ${what}, and ends a login for none but a grant that is gone`, () =>
      at(
        (emulator) =>
          Effect.gen(function* () {
            const broker = yield* Broker
            yield* loggedIn(emulator)
            emulator.says(...(reply === Anthropic.overloaded ? [reply, reply, reply] : [reply]))
            const error = yield* refusedRefresh(account)
            assert.strictEqual(error._tag, tag)
            assert.include(error.message, words)
            yield* pass(100)
            const then = yield* Effect.exit(broker.refreshToken(account))
            assert.strictEqual(then._tag, tag === "ReauthRequired" ? "Failure" : "Success")
          }),
        { inProcess: true },
      ),
    )
  }

  it.live("ends a login whose refresh token somebody else uses once more", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* loggedIn(emulator)
          yield* broker.refreshToken(account)
          const spent = emulator.requests.at(-1)?.body ?? ""
          const headers = { "content-type": "application/json" }
          yield* Effect.promise(() =>
            emulator.fetch(emulator.endpoints.token, { method: "POST", headers, body: spent }),
          )
          assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
        }),
      { inProcess: true },
    ),
  )
})
