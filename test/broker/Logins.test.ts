/**
 * How logins begin and end at a provider that does not do all that its record says.
 */
import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { Provider } from "../../src/oauth/Provider.ts"
import type { Options } from "../../src/testing/AuthorizationServer.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("scripted")

const hostOf = (change: Partial<Provider>, options: Options = {}) =>
  Layer.unwrap(
    Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([{ ...provider, ...change }])),
  ).pipe(Layer.provide(BrokerConfig.layer("/nowhere")), Layer.provideMerge(ScriptedProvider.layer(options)))

const takenPort = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createServer>>((resume) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close()),
).pipe(
  Effect.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }),
)

const loggedIn = Effect.gen(function* () {
  const broker = yield* Broker
  const { grant } = yield* ScriptedProvider
  const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
  return yield* broker.exchange(login.sessionId, Redacted.make(yield* grant(login.authUrl)))
})

describe("a login", () => {
  it.live("begins by the next flow if the port of the first is taken, unless the first was asked for", () =>
    Effect.gen(function* () {
      const port = yield* takenPort
      const host = hostOf({
        flows: ["browser_redirect", "device_code"],
        redirectUris: [`http://localhost:${port}/auth/callback`],
        notice: "The terms are strict.",
      })
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const begun = yield* broker.initiate(account)
        assert.strictEqual(begun.flowType, "device_code")
        assert.deepStrictEqual(begun.notice, Option.some("The terms are strict."))
        assert.strictEqual(yield* tagOf(broker.initiate(account, { flow: "browser_redirect" })), "FlowInitiationFailed")
      }).pipe(Effect.provide(host))
    }).pipe(Effect.scoped),
  )

  it.live(
    "tells a browser that brings the same answer again the same, and whoever brings another that it is over",
    () =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const provider = yield* ScriptedProvider
        const titleAt = (url: string) =>
          Effect.map(
            Effect.promise(() => fetch(url).then((page) => page.text())),
            (html) => /<h1>(.*)<\/h1>/.exec(html)?.[1],
          )
        const login = yield* broker.initiate(account, { flow: "browser_redirect" })
        const right = yield* provider.grant(login.authUrl)
        // Both are there before the provider has answered; neither waits for longer than the other.
        const both = yield* Effect.all([titleAt(right), titleAt(right)], { concurrency: 2 })
        assert.deepStrictEqual(both, ["Signed in", "Signed in"])
        assert.strictEqual(yield* titleAt(right), "Signed in")
        assert.strictEqual(yield* titleAt(`${right}&again=1`), "Already answered")
        assert.strictEqual((yield* broker.poll(login.sessionId)).status, "complete")
        assert.deepStrictEqual(yield* provider.calls, ["authorization_code"])

        const refused = yield* broker.initiate(account, { flow: "browser_redirect" })
        const denial = yield* provider.deny(refused.authUrl)
        assert.strictEqual(yield* titleAt(denial), "Access was not granted")
        assert.strictEqual(yield* titleAt(denial), "Access was not granted")
      }).pipe(Effect.provide(hostOf({ redirectUris: ["http://127.0.0.1/callback"] }))),
  )

  it.effect("whose answer is carried over from a loopback address names a port, as servers want it", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const { grant } = yield* ScriptedProvider
      const begun = yield* broker.initiate(account, { flow: "pkce_redirect" })
      const asked = new URL(begun.authUrl).searchParams.get("redirect_uri") ?? ""
      assert.match(asked, /^http:\/\/127\.0\.0\.1:(49|5\d|6[0-5])\d{3}\/callback$/)
      yield* broker.exchange(begun.sessionId, Redacted.make(yield* grant(begun.authUrl)))
    }).pipe(Effect.provide(hostOf({ redirectUris: ["http://127.0.0.1/callback"] }))),
  )

  it.effect("that cannot begin by any flow says why of each", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const failure = yield* Effect.flip(broker.initiate(account))
      assert.strictEqual(failure._tag, "FlowInitiationFailed")
      assert.include(failure.message, "redirect URI")
      assert.include(failure.message, "device authorization endpoint")
    }).pipe(
      Effect.provide(
        hostOf({
          endpoints: { token: "https://scripted.example/token", authorization: "https://scripted.example/authorize" },
          flows: ["pkce_redirect", "device_code"],
          redirectUris: [],
        }),
      ),
    ),
  )
})

describe("a refresh token", () => {
  it.effect("is not sent to another token endpoint than it came from, whatever the metadata says by now", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const store = yield* TokenStore
      const { calls } = yield* ScriptedProvider
      yield* loggedIn
      const record = Option.getOrThrow(yield* store.get(account))
      const { grantedBy } = record
      assert.isDefined(grantedBy)
      assert.strictEqual(grantedBy.tokenEndpoint, "https://scripted.example/token")
      const elsewhere = { ...grantedBy, tokenEndpoint: "https://scripted.example/elsewhere" }
      yield* store.set(account, { ...record, grantedBy: elsewhere })
      const failure = yield* Effect.flip(broker.refreshToken(account))
      assert.strictEqual(failure._tag, "RefreshFailed")
      assert.include(failure.message, "tokenkeep login scripted")
      assert.deepStrictEqual(yield* calls, ["authorization_code"])
    }).pipe(Effect.provide(hostOf({}))),
  )
})

describe("a logout", () => {
  it.effect("waits 10 s for a provider that does not answer, and forgets the login all the same", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      yield* loggedIn
      const removal = yield* Effect.forkChild(broker.removeToken(account))
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(removal.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(removal), "failed")
      assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
    }).pipe(Effect.provide(hostOf({}, { revocation: "hangs" }))),
  )

  it.effect("tells nobody but who gave the token", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const providers = yield* Providers
      const { isActive } = yield* ScriptedProvider
      const kept = yield* loggedIn
      const record = yield* providers.record("scripted")
      yield* providers.set("scripted", { ...record, clientId: "another" })
      assert.strictEqual(yield* broker.removeToken(account), "not_offered")
      assert.isTrue(yield* isActive(kept.accessToken))
      yield* broker.saveToken(account, { accessToken: kept.accessToken, tokenType: "bearer", extras: {} })
      assert.strictEqual(yield* broker.removeToken(account), "not_offered")
    }).pipe(Effect.provide(hostOf({}))),
  )
})
