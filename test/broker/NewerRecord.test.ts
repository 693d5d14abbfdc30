/**
 * A login that a newer version has written: what can be handed out is, nothing is sent anywhere, and nothing is changed but
 * by a logout.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, FileSystem, Layer, Option, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as RecordVersions from "../../src/broker/RecordVersions.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import { LoginStatus } from "../../src/cli/status/LoginStatus.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { recordOf } from "../support/Records.ts"
import { tagOf } from "../support/tagOf.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const account = Account.make("example")

const record = {
  issuer: "https://id.example",
  clientId: "c",
  scopes: [],
  flows: ["device_code"],
  redirectUris: [],
  publicFields: [],
} as const

/** A broker, whose record is then of a newer version and has this expiry; and what it has sent. */
const withNewer = <E>(expiresAt: DateTime.Utc, body: Effect.Effect<void, E, Needed>) =>
  Effect.gen(function* () {
    const sent: Array<string> = []
    const fetch: typeof globalThis.fetch = (input) => {
      sent.push(input instanceof Request ? input.url : String(input))
      return Promise.reject(new TypeError("fetch failed"))
    }
    const host = LoginStatus.layerHost.pipe(
      Layer.provideMerge(BrokerHost.layer),
      Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)),
      Layer.provideMerge(TemporaryHome.layerConfig()),
      Layer.provideMerge(NodeServices.layer),
    )
    yield* Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* TokenStore
      const providers = yield* Providers
      yield* providers.set("example", record)
      const { token, ...rest } = recordOf("one")
      const grantedBy = { server: record.issuer, clientId: record.clientId }
      yield* store.set(account, { ...rest, grantedBy, token: { ...token, expiresAt } })
      const path = yield* pathOf
      const { current } = RecordVersions
      const text = (yield* fs.readFileString(path)).replace(`"version":${current}`, `"version":${current + 1}`)
      yield* fs.writeFileString(path, text)
      yield* body
      assert.deepStrictEqual(sent, [])
    }).pipe(Effect.provide(host))
  })
type Needed = Broker | TokenStore | LoginStatus | BrokerConfig | FileSystem.FileSystem

const pathOf = Effect.map(BrokerConfig, ({ accountsDirectory }) => `${accountsDirectory}/example/default.json`)

const nextYear = DateTime.makeUnsafe("2099-01-01T00:00:00Z")
const lastYear = DateTime.makeUnsafe("2020-01-01T00:00:00Z")

describe("a login that a newer version has written", () => {
  it.live("is handed out, and shown as what it is, as long as its access token is good", () =>
    withNewer(
      nextYear,
      Effect.gen(function* () {
        const broker = yield* Broker
        const status = yield* LoginStatus
        assert.strictEqual(Redacted.value((yield* broker.getToken(account)).accessToken), "access-one")
        const shown = Option.getOrThrow(Option.fromUndefinedOr((yield* status.list)[0]))
        assert.strictEqual(shown.state, "newer")
        assert.match(Option.getOrThrow(shown.problem), /newer tokenkeep.*update this one/)
        assert.isTrue(Option.isSome(shown.snapshot))
      }),
    ),
  )

  it.live("is not refreshed, kept, or replaced, and nothing is sent", () =>
    withNewer(
      lastYear,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const broker = yield* Broker
        const path = yield* pathOf
        const before = yield* fs.readFileString(path)
        const { accessToken } = recordOf("mine").token
        const mine = { accessToken, tokenType: "bearer", extras: {} }
        assert.strictEqual(yield* tagOf(broker.getToken(account)), "StoreNewer")
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "StoreNewer")
        assert.strictEqual(yield* tagOf(broker.saveToken(account, mine)), "StoreNewer")
        assert.strictEqual(yield* tagOf(broker.initiate(account)), "StoreNewer")
        assert.strictEqual(yield* fs.readFileString(path), before)
      }),
    ),
  )

  it.live("is forgotten at a logout, and its provider is not told", () =>
    withNewer(
      nextYear,
      Effect.gen(function* () {
        const broker = yield* Broker
        assert.strictEqual(yield* broker.removeToken(account), "failed")
        assert.strictEqual(yield* tagOf(broker.getToken(account)), "TokenNotFound")
      }),
    ),
  )
})
