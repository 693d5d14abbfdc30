import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import * as ApiKeysFile from "../../src/broker/ApiKeysFile.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { inClear, suite } from "./ApiKeysContract.ts"

const files = ApiKeysFile.layer.pipe(
  Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provideMerge(NodeServices.layer),
)

suite("in memory", ApiKeys.layerMemory)
suite("in files", files)

const one = Redacted.make("key-one")

describe("the file of an API key", () => {
  it.live("is 0600 in a folder that is 0700, whatever the umask, and alone there", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const fs = yield* FileSystem.FileSystem
      const { keysDirectory } = yield* BrokerConfig
      const umask = process.umask(0)
      yield* keys.set("hub", one).pipe(Effect.ensuring(Effect.sync(() => process.umask(umask))))
      yield* keys.set("hub", one)
      const mode = (path: string) => Effect.map(fs.stat(path), (info) => info.mode & 0o777)
      assert.strictEqual(yield* mode(`${keysDirectory}/hub.json`), 0o600)
      assert.strictEqual(yield* mode(keysDirectory), 0o700)
      assert.deepStrictEqual(yield* fs.readDirectory(keysDirectory), ["hub.json"])
      const content: unknown = JSON.parse(yield* fs.readFileString(`${keysDirectory}/hub.json`))
      assert.deepStrictEqual(content, { version: 1, name: "hub", key: "key-one" })
    }).pipe(Effect.provide(files)),
  )

  it.live("cut off anywhere is reported as corrupt, with what to type, never read as absent, and left as it is", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const fs = yield* FileSystem.FileSystem
      const { keysDirectory } = yield* BrokerConfig
      const path = `${keysDirectory}/hub.json`
      yield* keys.set("hub", one)
      const whole = yield* fs.readFileString(path)
      for (let length = 0; length < whole.length; length += 3) {
        const cut = whole.slice(0, length)
        yield* fs.writeFileString(path, cut)
        const read = yield* Effect.flip(keys.get("hub"))
        const written = yield* Effect.flip(keys.set("hub", one))
        assert.deepStrictEqual([read._tag, written._tag], ["StoreCorrupt", "StoreCorrupt"])
        assert.include(read.message, path)
        assert.include(read.message, "tokenkeep key set hub")
        assert.strictEqual(yield* fs.readFileString(path), cut)
      }
      assert.deepStrictEqual(yield* keys.list, ["hub"])
      yield* keys.remove("hub")
      yield* keys.set("hub", one)
      assert.strictEqual(inClear(yield* keys.get("hub")), "key-one")
    }).pipe(Effect.provide(files)),
  )

  it.live("that holds another key, or none that can be sent, is corrupt", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const fs = yield* FileSystem.FileSystem
      const { keysDirectory } = yield* BrokerConfig
      yield* keys.set("hub", one)
      yield* fs.copyFile(`${keysDirectory}/hub.json`, `${keysDirectory}/other.json`)
      yield* fs.writeFileString(`${keysDirectory}/bad.json`, '{"version":1,"name":"bad","key":"a\\r\\nb"}')
      yield* fs.writeFileString(`${keysDirectory}/newer.json`, '{"version":2,"name":"newer","key":"a"}')
      for (const name of ["other", "bad", "newer"]) {
        assert.strictEqual((yield* Effect.flip(keys.get(name)))._tag, "StoreCorrupt", name)
      }
    }).pipe(Effect.provide(files)),
  )

  it.live("that cannot be read is unavailable, which is neither missing nor corrupt", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const fs = yield* FileSystem.FileSystem
      const { keysDirectory } = yield* BrokerConfig
      yield* fs.makeDirectory(`${keysDirectory}/hub.json`, { recursive: true })
      assert.strictEqual((yield* Effect.flip(keys.get("hub")))._tag, "StoreUnavailable")
    }).pipe(Effect.provide(files)),
  )

  it.live("is told from what is not ours, and goes with what a writer that was killed has left", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const fs = yield* FileSystem.FileSystem
      const { keysDirectory } = yield* BrokerConfig
      yield* keys.set("hub", one)
      const left = `${keysDirectory}/hub.json.0123456789abcdef.tmp`
      for (const path of [
        left,
        `${keysDirectory}/My Keys.json`,
        `${keysDirectory}/notes.txt`,
        `${keysDirectory}/.json`,
      ]) {
        yield* fs.writeFileString(path, "{}")
      }
      assert.deepStrictEqual(yield* keys.list, ["hub"])
      yield* fs.utimes(left, 0, 0)
      yield* keys.set("hub", one)
      assert.isFalse(yield* fs.exists(left))
      yield* fs.writeFileString(left, "{}")
      yield* keys.remove("hub")
      assert.sameMembers(yield* fs.readDirectory(keysDirectory), [".json", "My Keys.json", "notes.txt"])
    }).pipe(Effect.provide(files)),
  )
})
