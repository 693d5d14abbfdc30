/**
 * What only the host's own broker can be asked: its time, its files, and what happens in the middle of things.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, FileSystem, Layer, Option, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig, type Settings } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { recordOf } from "../support/Records.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("scripted")

const hostOver = <E, R>(scripted: Layer.Layer<ScriptedProvider, E, R>, settings: Partial<Settings> = {}) =>
  Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([provider]))).pipe(
    Layer.provide(BrokerConfig.layer("/nowhere", settings)),
    Layer.provideMerge(scripted),
  )

/** A scripted provider of which an endpoint waits for the gate before it answers; `tokens` are those that it was sent. */
const gated = (
  asked: Deferred.Deferred<void>,
  gate: Deferred.Deferred<void>,
  endpoint = "/token",
  tokens: Array<string> = [],
) =>
  Layer.effect(
    FetchHttpClient.Fetch,
    Effect.gen(function* () {
      const fetch = yield* FetchHttpClient.Fetch
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      return (input: string | URL | Request, init?: RequestInit) => {
        const isGated = (typeof input === "string" ? input : "").endsWith(endpoint)
        if (isGated) tokens.push(new URLSearchParams(String(init?.body)).get("token") ?? "")
        return isGated
          ? run(Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(gate))).then(() => fetch(input, init))
          : fetch(input, init)
      }
    }),
  ).pipe(Layer.provideMerge(ScriptedProvider.layer()))

describe("a login", () => {
  for (const flow of ["device_code", "browser_redirect"] as const) {
    it.live(`by ${flow} stores nothing once its session is past its life`, () =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const provider = yield* ScriptedProvider
        const login = yield* broker.initiate(account, { flow })
        assert.isAtMost(Duration.toMillis(login.expiresIn), 1200)
        yield* Effect.sleep("1300 millis")
        if (flow === "device_code") yield* provider.grantDevice(Option.getOrThrow(login.device).userCode)
        else {
          const back = yield* provider.grant(login.authUrl)
          const page = yield* Effect.promise(() => fetch(back).then((response) => response.text()))
          assert.include(page, "Too late")
        }
        yield* Effect.sleep("1200 millis")
        assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "SessionExpired")
        assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
        assert.notInclude(yield* provider.calls, "authorization_code")
      }).pipe(Effect.provide(hostOver(ScriptedProvider.layer(), { sessionLifetime: Duration.millis(1200) }))),
    )
  }

  it.live("that is cancelled while its code is exchanged stores nothing", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const provider = yield* ScriptedProvider
        const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const redirect = yield* provider.grant(login.authUrl)
        const exchange = yield* Effect.forkChild(tagOf(broker.exchange(login.sessionId, Redacted.make(redirect))))
        yield* Deferred.await(asked)
        yield* broker.cancel(login.sessionId)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(exchange), "SessionNotFound")
        assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
      }).pipe(Effect.provide(hostOver(gated(asked, gate))))
    }),
  )

  it.live("waits for a provider call that is under way before it says how it goes", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const provider = yield* ScriptedProvider
        const login = yield* broker.initiate(account, { flow: "device_code" })
        yield* provider.grantDevice(Option.getOrThrow(login.device).userCode)
        yield* Deferred.await(asked)
        const poll = yield* Effect.forkChild(broker.poll(login.sessionId))
        yield* Effect.sleep("100 millis")
        assert.isUndefined(poll.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(poll)).status, "complete")
      }).pipe(Effect.provide(hostOver(gated(asked, gate))))
    }),
  )

  it.live("is only so often in progress at a time", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const begin = broker.initiate(account, { flow: "pkce_redirect" })
      const first = yield* begin
      yield* begin
      assert.strictEqual(yield* tagOf(begin), "RateLimited")
      yield* broker.cancel(first.sessionId)
      yield* begin
    }).pipe(Effect.provide(hostOver(ScriptedProvider.layer(), { sessionsPerPeer: 2 }))),
  )
})

const inFiles = BrokerHost.layer.pipe(
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provideMerge(NodeServices.layer),
)

const record = {
  issuer: "https://id.example",
  clientId: "client",
  scopes: [],
  flows: ["pkce_redirect"] as const,
  redirectUris: ["https://app.example/cb"],
  publicFields: ["account_id"],
}

describe("a host with files", () => {
  it.live("that is ended takes the token with it that a refresh brings meanwhile", () =>
    Effect.gen(function* () {
      const [asked, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const revoked: Array<string> = []
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const { grant, secrets } = yield* ScriptedProvider
        const begun = yield* broker.initiate(account, { flow: "pkce_redirect" })
        yield* broker.exchange(begun.sessionId, Redacted.make(yield* grant(begun.authUrl)))
        const ending = yield* Effect.forkChild(broker.removeToken(account))
        yield* Deferred.await(asked)
        const { accessToken } = yield* broker.refreshToken(account)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(ending), "revoked")
        assert.include(revoked, Redacted.value(accessToken))
        const issued = (yield* secrets).map(([, secret]) => secret).filter((secret) => secret.startsWith("refresh-"))
        assert.lengthOf(issued, 2)
        for (const secret of issued) assert.include(revoked, secret)
      }).pipe(Effect.provide(hostOver(gated(asked, gate, "/revoke", revoked))))
    }),
  )

  it.live("hands out a token although the provider's secret, or another provider, cannot be read", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const store = yield* TokenStore
      const providers = yield* Providers
      const fs = yield* FileSystem.FileSystem
      const { configFile } = yield* BrokerConfig
      yield* providers.set("scripted", { ...record, clientSecret: { env: "NO_SUCH_VARIABLE" } })
      yield* store.set(account, recordOf("one"))
      assert.deepStrictEqual((yield* broker.getToken(account)).extras, { account_id: "one" })
      assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "SecretUnavailable")

      const config: unknown = JSON.parse(yield* fs.readFileString(configFile))
      assert.notInclude(JSON.stringify(config), 'secret":"')
      const spoilt = JSON.stringify(config).replace('"providers":{', '"providers":{"bad":{"issuer":7},')
      yield* fs.writeFileString(configFile, spoilt)
      yield* broker.getToken(account)
      assert.strictEqual(yield* tagOf(broker.initiate(Account.make("bad"))), "ConfigCorrupt")
      assert.deepStrictEqual(yield* broker.listProviders, ["bad", "scripted"])
    }).pipe(Effect.provide(inFiles)),
  )

  it.live("does not begin a login that could not be stored over a damaged file", () =>
    Effect.gen(function* () {
      const broker = yield* Broker
      const store = yield* TokenStore
      const providers = yield* Providers
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* providers.set("scripted", record)
      yield* store.set(account, recordOf("one"))
      const path = `${accountsDirectory}/scripted/default.json`
      const spoilt = (yield* fs.readFileString(path)).replace('"version":', '"revision":')
      yield* fs.writeFileString(path, spoilt)
      assert.strictEqual(yield* tagOf(broker.initiate(account)), "StoreCorrupt")
      assert.strictEqual(yield* tagOf(store.set(account, recordOf("two"))), "StoreCorrupt")
      assert.strictEqual(yield* fs.readFileString(path), spoilt)
      yield* broker.removeToken(account)
      yield* store.set(account, recordOf("two"))
    }).pipe(Effect.provide(inFiles)),
  )

  it.live("keeps in its configuration what it does not know", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const fs = yield* FileSystem.FileSystem
      const { configFile } = yield* BrokerConfig
      yield* fs.makeDirectory(configFile.replace(/\/[^/]*$/, ""), { recursive: true })
      const theirs = { $schema: "x", future: [1], providers: { old: { ...record, comment: "mine", future: true } } }
      yield* fs.writeFileString(configFile, JSON.stringify(theirs))
      yield* providers.set("new", record)
      const config: unknown = JSON.parse(yield* fs.readFileString(configFile))
      assert.containSubset(config, theirs)
      assert.deepStrictEqual(yield* providers.list, ["old", "new"])
      assert.strictEqual(Number((yield* fs.stat(configFile)).mode) & 0o777, 0o600)
    }).pipe(Effect.provide(inFiles)),
  )

  it.live("looks the client secret up in a file each time, and takes an empty one for none", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const fs = yield* FileSystem.FileSystem
      const { configFile } = yield* BrokerConfig
      const file = `${configFile}.secret`
      yield* providers.set("p", { ...record, clientSecret: { file } })
      for (const secret of ["first", "second"]) {
        yield* fs.writeFileString(file, `${secret}\n`)
        const found = yield* providers.get("p")
        assert.strictEqual(Redacted.value(Option.getOrThrow(found.secret)), secret)
      }
      yield* fs.writeFileString(file, "\n")
      assert.strictEqual(yield* tagOf(providers.get("p")), "SecretUnavailable")
    }).pipe(Effect.provide(inFiles)),
  )
})
