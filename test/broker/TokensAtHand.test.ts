import { existsSync, readdirSync, statSync, utimesSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, FileSystem, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import * as RegistrationsFile from "../../src/broker/RegistrationsFile.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokensAtHand } from "../../src/broker/TokensAtHand.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const github = Account.make("github")
const provider: ProviderRecord = {
  issuer: "https://id.example",
  clientId: "c",
  scopes: [],
  flows: ["device_code"],
  redirectUris: [],
  publicFields: ["account_id"],
}

const host = BrokerHost.layer.pipe(Layer.provideMerge(TemporaryHome.layerConfig()), Layer.provide(NodeServices.layer))

/** What another process has of the same files. */
const elsewhere = Effect.gen(function* () {
  const config = Layer.succeed(BrokerConfig, yield* BrokerConfig)
  const store = Layer.fresh(TokenStoreFile.layer).pipe(
    Layer.provide([config, NodeServices.layer, SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  )
  return yield* Effect.provide(TokenStore, yield* Layer.build(store))
})

/** Makes the files look younger by so many seconds. */
const youngerBy = Effect.fnUntraced(function* (seconds: number) {
  const { accountsDirectory, configFile } = yield* BrokerConfig
  const folder = `${accountsDirectory}/github`
  for (const file of [configFile, ...readdirSync(folder).map((name) => `${folder}/${name}`)]) {
    const modified = statSync(file).mtimeMs / 1000 + seconds
    utimesSync(file, modified, modified)
  }
})

/** Makes the files look as old as they are after a minute. */
const age = youngerBy(-60)

const setUp = Effect.gen(function* () {
  const broker = yield* Broker
  const store = yield* TokenStore
  const atHand = yield* TokensAtHand
  yield* (yield* Providers).set("github", provider)
  yield* store.set(github, recordOf("one"))
  const known = () => Option.map(atHand(github), ({ accessToken }) => Redacted.value(accessToken))
  const become = (wanted: Option.Option<string>) =>
    Effect.sync(known).pipe(
      Effect.repeat({ until: (found) => Option.getOrNull(found) === Option.getOrNull(wanted) }),
      Effect.timeout("1 second"),
    )
  return { atHand, become, broker, known, store }
})

describe("a token at hand", () => {
  it.live("is what the broker gave last for this very key, without looking twice at what has not changed", () =>
    Effect.gen(function* () {
      const { atHand, broker, known } = yield* setUp
      assert.deepStrictEqual(known(), Option.none())
      yield* age
      yield* broker.getToken(github)
      assert.deepStrictEqual(known(), Option.some("access-one"))
      const [first, second] = [atHand(github), atHand(github)].map(Option.getOrThrow)
      assert.strictEqual(first, second)
      assert.deepStrictEqual(first?.extras, { account_id: "one" })
      assert.deepStrictEqual(atHand(Account.make("github")), Option.none())
    }).pipe(Effect.provide(host)),
  )

  it.live("is one of a provider that is built in too, until somebody configures it", () =>
    Effect.gen(function* () {
      const anthropic = Account.make("anthropic")
      const { accountsDirectory } = yield* BrokerConfig
      const broker = yield* Broker
      const atHand = yield* TokensAtHand
      yield* (yield* TokenStore).set(anthropic, recordOf("one"))
      const file = `${accountsDirectory}/anthropic/default.json`
      const before = statSync(file).mtimeMs / 1000 - 60
      utimesSync(file, before, before)
      yield* broker.getToken(anthropic)
      assert.isTrue(Option.isSome(atHand(anthropic)))
      yield* (yield* Providers).set("github", provider)
      assert.isTrue(Option.isNone(atHand(anthropic)))
    }).pipe(Effect.provide(host)),
  )

  it.live("is one of a server that was found by its address too, until it is configured or found anew", () =>
    Effect.gen(function* () {
      const address = "https://mcp.example/mcp"
      const account = Account.make(address)
      const { accountsDirectory, clientsDirectory, configFile } = yield* BrokerConfig
      const broker = yield* Broker
      const atHand = yield* TokensAtHand
      const providers = yield* Providers
      const clients = yield* RegistrationsFile.make
      const found = (publicFields: ReadonlyArray<string>) =>
        clients.setFound({
          name: address,
          isTyped: true,
          record: { ...provider, publicFields },
          client: { clientId: "c", scopes: [] },
        })
      const again = Effect.gen(function* () {
        for (const folder of [
          `${clientsDirectory}/resources`,
          `${accountsDirectory}/${readdirSync(accountsDirectory)[0]}`,
        ])
          for (const file of readdirSync(folder)) utimesSync(`${folder}/${file}`, 1000, 1000)
        if (existsSync(configFile)) utimesSync(configFile, 1000, 1000)
        yield* broker.getToken(account)
        return Option.map(atHand(account), ({ extras }) => extras)
      })
      yield* (yield* TokenStore).set(account, recordOf("one"))
      yield* found(["account_id"])
      assert.deepStrictEqual(yield* again, Option.some({ account_id: "one" }))
      yield* found([])
      yield* Effect.sync(() => atHand(account)).pipe(
        Effect.repeat({ until: Option.isNone }),
        Effect.timeout("1 second"),
      )
      assert.deepStrictEqual(yield* again, Option.some({}))
      yield* providers.set(address, provider)
      assert.isTrue(Option.isNone(atHand(account)))
      assert.deepStrictEqual(yield* again, Option.some({ account_id: "one" }))
      yield* providers.remove(address)
      assert.deepStrictEqual(yield* again, Option.some({}))
      yield* providers.remove(address)
      assert.isTrue(Option.isNone(atHand(account)))
    }).pipe(Effect.provide([host, NodeServices.layer, SecureRandom.layerWebCrypto, Digest.layerWebCrypto])),
  )

  it.live("is not there while its file is so young that a newer one could look the same", () =>
    Effect.gen(function* () {
      const { broker, known } = yield* setUp
      // It stays young, however long this takes.
      yield* youngerBy(60)
      yield* broker.getToken(github)
      assert.deepStrictEqual(known(), Option.none())
    }).pipe(Effect.provide(host)),
  )

  it.live("is forgotten at once when it changes here, and soon when it changes elsewhere", () =>
    Effect.gen(function* () {
      const { become, broker, known, store } = yield* setUp
      const other = yield* elsewhere
      const again = Effect.andThen(age, broker.getToken(github))
      yield* again
      yield* store.set(github, recordOf("two"))
      assert.deepStrictEqual(known(), Option.none())
      yield* again
      assert.deepStrictEqual(known(), Option.some("access-two"))
      yield* other.set(github, recordOf("three"))
      yield* become(Option.none())
      yield* again
      assert.deepStrictEqual(known(), Option.some("access-three"))
      yield* other.remove(github)
      yield* become(Option.none())
    }).pipe(Effect.scoped, Effect.provide(host)),
  )

  it.live("has the public fields that are configured now", () =>
    Effect.gen(function* () {
      const { atHand, broker } = yield* setUp
      const { configFile } = yield* BrokerConfig
      yield* age
      yield* broker.getToken(github)
      const fs = yield* FileSystem.FileSystem
      const edited = (yield* fs.readFileString(configFile)).replace('"account_id"', "")
      yield* fs.writeFileString(configFile, edited)
      yield* Effect.sync(() => atHand(github)).pipe(Effect.repeat({ until: Option.isNone }), Effect.timeout("1 second"))
      yield* age
      yield* broker.getToken(github)
      assert.deepStrictEqual(Option.getOrThrow(atHand(github)).extras, {})
    }).pipe(Effect.provide([host, NodeServices.layer])),
  )

  it.live("is no longer there when it does not live long enough", () =>
    Effect.gen(function* () {
      const { broker, known, store } = yield* setUp
      const now = yield* DateTime.now
      const { token, ...rest } = recordOf("one")
      const untilIn = (seconds: number) => ({
        ...rest,
        token: { ...token, expiresAt: DateTime.addDuration(now, Duration.seconds(seconds)) },
      })
      yield* store.set(github, untilIn(40))
      yield* age
      yield* broker.getToken(github)
      assert.deepStrictEqual(known(), Option.some("access-one"))
      yield* store.set(github, untilIn(25))
      yield* age
      yield* store.get(github)
      assert.deepStrictEqual(known(), Option.none())
    }).pipe(Effect.provide(host)),
  )
})
