/**
 * What older and newer versions have written: the files in `records/` are as they wrote them, but for spaces, and are never changed.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, FileSystem, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import * as fc from "fast-check"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as RecordVersions from "../../src/broker/RecordVersions.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { ProviderDefinition } from "../../src/oauth/Provider.ts"
import { ProviderDefinitions } from "../../src/providers/ProviderDefinitions.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"
import { inClear, recordInClear, recordOf, tokenOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const golden = (name: string) => {
  const text = readFileSync(fileURLToPath(new URL(`records/${name}.json`, import.meta.url)), "utf8")
  return JSON.stringify(JSON.parse(text))
}
const parsed = (text: string): RecordVersions.File => JSON.parse(text)
const github = Account.make("github")
const now = DateTime.makeUnsafe("2026-06-01T00:00:00Z")

const storeWith = (definitions: ReadonlyArray<ProviderDefinition>) =>
  TokenStoreFile.layer.pipe(
    Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
    Layer.provide(Layer.succeed(ProviderDefinitions, definitions)),
    Layer.fresh,
  )

const places = TemporaryHome.layerConfig().pipe(Layer.provideMerge(NodeServices.layer))
const files = storeWith([]).pipe(Layer.provideMerge(places))

/** Puts a text where the account's record is, and says where that is. */
const put = Effect.fnUntraced(function* (text: string) {
  const fs = yield* FileSystem.FileSystem
  const { accountsDirectory } = yield* BrokerConfig
  const path = `${accountsDirectory}/github/default.json`
  yield* fs.makeDirectory(`${accountsDirectory}/github`, { recursive: true })
  yield* fs.writeFileString(path, text)
  return path
})

const get = Effect.flatMap(TokenStore, (store) => Effect.map(store.get(github), Option.getOrThrow))
const set = (record: AccountRecord.AccountRecord) => Effect.flatMap(TokenStore, (store) => store.set(github, record))
const extrasOf = ({ token }: AccountRecord.AccountRecord) => Redacted.value(token.extras)

const suspect = golden("version-2")

describe("a record of version 1", () => {
  it.live("without a history is one of a login that was never refreshed", () =>
    Effect.gen(function* () {
      yield* put(golden("version-1-without-history"))
      const before = yield* DateTime.now
      const record = yield* get
      assert.deepStrictEqual(inClear(record.token), inClear(tokenOf("old")))
      assert.deepStrictEqual(record.history, AccountRecord.unused)
      assert.isTrue(DateTime.between(record.since, { minimum: before, maximum: yield* DateTime.now }))
      assert.notProperty(record, "grantedBy")
    }).pipe(Effect.provide(files)),
  )

  it.live("keeps its history, and is written as the current version when it is saved, not when it is read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* put(golden("version-1"))
      const record = yield* get
      assert.strictEqual(record.history.epoch, 3)
      assert.strictEqual(record.history.standing._tag, "Suspect")
      assert.strictEqual(yield* fs.readFileString(path), golden("version-1"))
      const grantedBy = { server: "https://id.example", clientId: "c", tokenEndpoint: "https://id.example/token" }
      yield* set({ ...record, grantedBy })
      assert.strictEqual(yield* fs.readFileString(path), suspect)
    }).pipe(Effect.provide(files)),
  )

  it("becomes the same, once upgraded, however often it is upgraded", () => {
    const field = fc.constantFrom("since", "history", "grantedBy", "token", "more")
    const file = fc.dictionary(field, fc.jsonValue()).map((fields) => ({ ...fields, version: 1 }))
    fc.assert(
      fc.property(file, (old) => {
        const once = RecordVersions.upgrade(old, now)
        assert.strictEqual(once._tag, "Current")
        if (once._tag !== "Current") return
        assert.strictEqual(once.file["version"], RecordVersions.current)
        const later = DateTime.add(now, { days: 1 })
        assert.deepStrictEqual(RecordVersions.upgrade(once.file, later), once)
        // What it has is never replaced.
        for (const [name, value] of Object.entries(old)) {
          if (name !== "version") assert.deepStrictEqual(once.file[name], value)
        }
      }),
    )
  })

  it.live("equals itself when it is saved and read again, whatever is in it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const records = fc.sample(Arbitrary.record, 40)
      for (const [i, record] of records.entries()) {
        yield* set(record)
        const path = yield* Effect.map(BrokerConfig, (config) => `${config.accountsDirectory}/github/default.json`)
        const { history, since, ...rest } = parsed(yield* fs.readFileString(path))
        yield* put(JSON.stringify({ ...rest, version: 1, ...(i % 2 === 0 && { history, since }) }))
        const migrated = yield* get
        if (i % 2 === 0) assert.deepStrictEqual(recordInClear(migrated), recordInClear(record))
        yield* set(migrated)
        assert.deepStrictEqual(recordInClear(yield* get), recordInClear(migrated))
      }
    }).pipe(Effect.provide(files)),
  )
})

describe("a record of the current version", () => {
  it.live("is written as the last of these files is: whoever changes that adds a migration, and a file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* put(suspect)
      yield* set(yield* get)
      assert.strictEqual(yield* fs.readFileString(path), suspect)
      assert.strictEqual(parsed(suspect)["version"], RecordVersions.current)
    }).pipe(Effect.provide(files)),
  )
})

describe("a record of a newer version", () => {
  const newer = (change: RecordVersions.File) =>
    JSON.stringify({ ...parsed(suspect), version: RecordVersions.current + 1, ...change })

  it.live("is read as far as it is understood, and is not replaced but by a new login after a logout", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* TokenStore
      for (const [change, standing] of [
        [{ more: { secret: true } }, "Suspect"],
        [{ history: { shape: "another" }, grantedBy: ["x"] }, "Good"],
        [{ since: 5, history: undefined }, "Good"],
      ] as const) {
        const text = newer(change)
        const path = yield* put(text)
        const record = yield* get
        assert.deepStrictEqual(inClear(record.token), inClear(tokenOf("old")))
        assert.strictEqual(record.history.standing._tag, standing)
        for (const write of [store.set(github, recordOf("mine")), store.replaceable(github)]) {
          const error = yield* Effect.flip(write)
          assert.strictEqual(error._tag, "StoreNewer")
          assert.match(error.message, /newer tokenkeep/)
        }
        assert.strictEqual(yield* fs.readFileString(path), text)
        assert.deepStrictEqual((yield* store.list).map(String), ["github"])
        yield* store.remove(github)
        yield* store.replaceable(github)
        yield* set(recordOf("mine"))
        assert.deepStrictEqual(inClear((yield* get).token), inClear(tokenOf("mine")))
      }
    }).pipe(Effect.provide(files)),
  )

  it.live("that cannot be understood is called newer, and one whose version is none is damaged", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      for (const [text, words] of [
        [newer({ token: { sealed: "x" } }), /written by a newer tokenkeep, and this one cannot understand it/],
        [newer({ provider: "another" }), /is damaged/],
        [newer({ version: 0 }), /is damaged/],
        [newer({ version: "3" }), /is damaged/],
        [newer({ version: 2.5 }), /is damaged/],
        ['"text"', /is damaged/],
      ] as const) {
        yield* put(text)
        const error = yield* Effect.flip(store.get(github))
        assert.strictEqual(error._tag, "StoreCorrupt", text)
        assert.match(error.message, words)
        const written = yield* Effect.flip(set(recordOf("mine")))
        if (!text.includes("another")) assert.deepStrictEqual(written, error)
      }
    }).pipe(Effect.provide(files)),
  )

  it.live("that a writer left is not taken for the answer to a refresh of ours", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* TokenStore
      const path = yield* put(suspect)
      yield* fs.writeFileString(`${path}.1.tmp`, newer({}))
      assert.deepStrictEqual(yield* store.interrupted(github), [])
      yield* fs.writeFileString(`${path}.2.tmp`, suspect)
      assert.lengthOf(yield* store.interrupted(github), 1)
    }).pipe(Effect.provide(files)),
  )
})

describe("what a plugin keeps with a token", () => {
  const renamed: ProviderDefinition = {
    name: "github",
    record: {},
    migrations: [({ account_id, ...rest }) => ({ ...rest, account: account_id ?? null })],
  }
  const twice: ProviderDefinition = {
    ...renamed,
    migrations: [...(renamed.migrations ?? []), (extras) => ({ ...extras, plan: "free" })],
  }
  const nested = { list: [1, null, "x"] }
  /** As the plugin is of this version, and then of that. */
  const as = <A, E>(definition: ProviderDefinition, effect: Effect.Effect<A, E, TokenStore | BrokerConfig>) =>
    Effect.provide(effect, storeWith([definition]))
  const plain: ProviderDefinition = { name: "github", record: {} }

  it.live("is as its newest version has it, and is written so when it is saved", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* put(suspect)
      const versionIn = Effect.map(fs.readFileString(path), (text) => parsed(text)["providerVersion"])
      assert.deepStrictEqual(extrasOf(yield* as(renamed, get)), { account: "old", nested })
      assert.strictEqual(yield* versionIn, undefined)
      yield* as(renamed, Effect.flatMap(get, set))
      assert.strictEqual(yield* versionIn, 1)
      assert.deepStrictEqual(extrasOf(yield* as(renamed, get)), { account: "old", nested })
      yield* as(twice, Effect.flatMap(get, set))
      assert.strictEqual(yield* versionIn, 2)
      assert.deepStrictEqual(extrasOf(yield* as(twice, get)), { account: "old", nested, plan: "free" })
    }).pipe(Effect.provide(places)),
  )

  it.live("by a newer version, or one that is not loaded, is read and not replaced", () =>
    Effect.gen(function* () {
      yield* put(suspect)
      yield* as(twice, Effect.flatMap(get, set))
      for (const older of [renamed, plain, { ...twice, name: "gitlab" }]) {
        assert.strictEqual(extrasOf(yield* as(older, get))["plan"], "free")
        const error = yield* Effect.flip(as(older, set(recordOf("mine"))))
        assert.strictEqual(error._tag, "StoreNewer")
        assert.match(error.message, /plugin/)
      }
    }).pipe(Effect.provide(places)),
  )

  it.live("is found by what the configuration says that it extends", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { configFile } = yield* BrokerConfig
      yield* put(suspect)
      yield* fs.writeFileString(configFile, JSON.stringify({ providers: { github: { extends: "plugin" } } }))
      const plugin = { ...renamed, name: "plugin" }
      assert.deepStrictEqual(extrasOf(yield* as(plugin, get)), { account: "old", nested })
      yield* fs.writeFileString(configFile, "{")
      assert.deepStrictEqual(extrasOf(yield* as(plugin, get)), { account_id: "old", nested })
    }).pipe(Effect.provide(places)),
  )

  it.live("is reported, and left, where its migration breaks off or makes no extra fields of it", () =>
    Effect.gen(function* () {
      yield* put(suspect)
      const broken = { ...renamed, migrations: [() => JSON.parse("{")] }
      const wrong = { ...renamed, migrations: [() => JSON.parse("7")] }
      for (const plugin of [broken, wrong]) {
        const error = yield* Effect.flip(as(plugin, get))
        assert.deepStrictEqual([error._tag, "because" in error && error.because], ["StoreCorrupt", "plugin"])
      }
    }).pipe(Effect.provide(places)),
  )
})
