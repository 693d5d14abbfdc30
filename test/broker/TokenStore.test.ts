import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, FileSystem, Layer, Option, Path } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { inClear, recordInClear, recordOf, tokenOf } from "../support/Records.ts"
import { suite } from "./TokenStoreContract.ts"

const files = TokenStoreFile.layer.pipe(
  Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provideMerge(NodeServices.layer),
)

suite("in memory", TokenStore.layerMemory)
suite("in files", files)

const github = Account.make("github")

/** Another store over the same folder, as another process has it, with a file system of its own. */
const storeOn = (fs: FileSystem.FileSystem) =>
  Layer.fresh(TokenStoreFile.layer).pipe(
    Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
    Layer.provide(Layer.succeed(FileSystem.FileSystem, fs)),
  )

describe("the file of an account", () => {
  it.live("is 0600 in folders that are 0700, whatever the umask", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const umask = process.umask(0)
      yield* store.set(github, recordOf("one")).pipe(Effect.ensuring(Effect.sync(() => process.umask(umask))))
      const mode = (path: string) => Effect.map(fs.stat(path), (info) => info.mode & 0o777)
      assert.strictEqual(yield* mode(`${accountsDirectory}/github/default.json`), 0o600)
      assert.strictEqual(yield* mode(`${accountsDirectory}/github`), 0o700)
      assert.strictEqual(yield* mode(accountsDirectory), 0o700)
    }).pipe(Effect.provide(files)),
  )

  it.live("is the only thing left in its folder", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* store.set(github, recordOf("one"))
      yield* store.set(github, recordOf("two"))
      assert.deepStrictEqual(yield* fs.readDirectory(`${accountsDirectory}/github`), ["default.json"])
    }).pipe(Effect.provide(files)),
  )

  it.live("cut off at any byte is reported as corrupt, named, and left as it is", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const path = `${accountsDirectory}/github/default.json`
      yield* store.set(github, recordOf("one"))
      const whole = yield* fs.readFileString(path)
      for (let length = 0; length < whole.length; length++) {
        const cut = whole.slice(0, length)
        yield* fs.writeFileString(path, cut)
        const error = yield* Effect.flip(store.get(github))
        assert.strictEqual(error._tag, "StoreCorrupt")
        assert.include(error.message, path)
        assert.strictEqual(yield* fs.readFileString(path), cut)
      }
      assert.deepStrictEqual((yield* store.list).map(String), ["github"])
    }).pipe(Effect.provide(files)),
  )

  it.live("that belongs to another account is corrupt", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* store.set(github, recordOf("one"))
      yield* fs.copyFile(`${accountsDirectory}/github/default.json`, `${accountsDirectory}/github/other.json`)
      const error = yield* Effect.flip(store.get(Account.make("github", "other")))
      assert.strictEqual(error._tag, "StoreCorrupt")
    }).pipe(Effect.provide(files)),
  )

  it.live("is not told from a file that is not ours", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* store.set(github, recordOf("one"))
      for (const name of ["My Notes.json", "._default.json", "%2E%2E.json", "DEFAULT.json", "notes.txt", "x~y.json"]) {
        yield* fs.writeFileString(`${accountsDirectory}/github/${name}`, "{}")
      }
      yield* fs.makeDirectory(`${accountsDirectory}/.git`)
      yield* fs.writeFileString(`${accountsDirectory}/.git/config.json`, "{}")
      yield* fs.writeFileString(`${accountsDirectory}/stray.json`, "{}")
      assert.deepStrictEqual((yield* store.list).map(String), ["github"])
    }).pipe(Effect.provide(files)),
  )

  it.live("leaves nothing behind when it is removed, not even what a writer that was killed has left", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* store.set(github, recordOf("one"))
      yield* store.set(Account.make("github", "default2"), recordOf("two"))
      yield* fs.writeFileString(`${accountsDirectory}/github/default.json.0123456789abcdef.tmp`, "half a token")
      yield* store.remove(github)
      assert.deepStrictEqual(yield* fs.readDirectory(`${accountsDirectory}/github`), ["default2.json"])
    }).pipe(Effect.provide(files)),
  )

  it.live("that cannot be read is unavailable, which is neither missing nor corrupt", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* fs.makeDirectory(`${accountsDirectory}/github/default.json`, { recursive: true })
      const error = yield* Effect.flip(store.get(github))
      assert.strictEqual(error._tag, "StoreUnavailable")
    }).pipe(Effect.provide(files)),
  )

  it.live("keeps its old content when the new one cannot be written", () =>
    Effect.gen(function* () {
      const paths = yield* Path.Path
      const { accountsDirectory } = yield* BrokerConfig
      const store = yield* TokenStore
      const real = yield* FileSystem.FileSystem
      yield* store.set(github, recordOf("old"))
      const full = FileSystem.make({
        ...real,
        rename: (from, to) => real.rename(paths.join(from, "gone"), to),
      })
      const broken = yield* Effect.provide(TokenStore, storeOn(full))
      const error = yield* Effect.flip(broken.set(github, recordOf("new")))
      assert.strictEqual(error._tag, "StoreUnavailable")
      const kept = Option.getOrThrow(yield* store.get(github))
      assert.deepStrictEqual(inClear(kept.token), inClear(tokenOf("old")))
      assert.deepStrictEqual(yield* real.readDirectory(`${accountsDirectory}/github`), ["default.json"])
    }).pipe(Effect.provide(files)),
  )

  it.live("that a writer had whole when it died is found, and goes in time when there is a newer one", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const folder = `${accountsDirectory}/github`
      const file = `${folder}/default.json`
      yield* store.set(github, recordOf("whole"))
      const whole = yield* fs.readFileString(file)
      yield* store.set(github, recordOf("in place"))
      const others = whole.replace('"bucket":"default"', '"bucket":"other"')
      for (const [name, content] of [
        ["default.json.1.tmp", whole],
        ["default.json.2.tmp", whole.slice(0, -1)],
        ["default.json.3.tmp", ""],
        ["default.json.4.tmp", others],
        ["default.json.5.tmp.old", whole],
        ["default2.json.6.tmp", whole],
      ] as const) {
        yield* fs.writeFileString(`${folder}/${name}`, content)
        yield* fs.utimes(`${folder}/${name}`, 0, 0)
      }
      const found = yield* store.interrupted(github)
      assert.deepStrictEqual(found.map(recordInClear), [recordInClear(recordOf("whole"))])
      const inPlace = Option.getOrThrow(yield* store.get(github))
      assert.deepStrictEqual(recordInClear(inPlace), recordInClear(recordOf("in place")))
      const aMinuteAgo = (yield* Clock.currentTimeMillis) - 60_000
      for (const [name, age] of [
        ["default.json.7.tmp", 5000],
        ["default.json.8.tmp", -5000],
      ] as const) {
        yield* fs.writeFileString(`${folder}/${name}`, whole)
        yield* fs.utimes(`${folder}/${name}`, 0, (aMinuteAgo - age) / 1000)
      }
      yield* store.set(github, recordOf("newer"))
      const left = (yield* fs.readDirectory(folder)).toSorted()
      // The last of these may be what somebody is writing.
      const kept = ["default.json", "default.json.5.tmp.old", "default.json.8.tmp", "default2.json.6.tmp"]
      assert.deepStrictEqual(left, kept.toSorted())
    }).pipe(Effect.provide(files)),
  )

  it.live("is not taken from one who writes it by another who does", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const real = yield* FileSystem.FileSystem
      const written = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const slow = FileSystem.make({
        ...real,
        rename: (from, to) =>
          Deferred.succeed(written, undefined).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(real.rename(from, to)),
          ),
      })
      const slowly = yield* Effect.provide(TokenStore, storeOn(slow))
      const writing = yield* Effect.forkChild(slowly.set(github, recordOf("slow")))
      yield* Deferred.await(written)
      yield* store.set(github, recordOf("quick"))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(writing)
      const kept = Option.getOrThrow(yield* store.get(github))
      assert.deepStrictEqual(inClear(kept.token), inClear(tokenOf("slow")))
    }).pipe(Effect.provide(files)),
  )
})
