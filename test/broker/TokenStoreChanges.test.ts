/**
 * How a store of files hears of what other processes did to them.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Option, PubSub, Scope } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const ofFiles = TokenStoreFile.layer.pipe(Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]))

const files = ofFiles.pipe(Layer.provideMerge(TemporaryHome.layerConfig()), Layer.provideMerge(NodeServices.layer))

const [one, two] = [Account.make("github"), Account.make("other", "two")]

/** Two stores over one folder, as two processes have them. */
const twoStores = Effect.gen(function* () {
  const here = yield* TokenStore
  const there = yield* Effect.provide(TokenStore, Layer.fresh(ofFiles))
  return { here, there }
})

/** Lets files be read and written, which takes time that is real. */
const moment = TestClock.withLive(Effect.sleep("20 millis"))

/** What has been told by now. */
const told = (changes: PubSub.Subscription<AccountKey>) =>
  Effect.andThen(
    moment,
    Effect.map(PubSub.takeUpTo(changes, 100), (accounts) => accounts.map(String)),
  )

/** What is told ten seconds later, once it is as much as is expected. */
const toldNext = Effect.fnUntraced(function* (changes: PubSub.Subscription<AccountKey>, count = 1) {
  yield* TestClock.adjust("10 seconds")
  const accounts: Array<string> = []
  for (let i = 0; i < 200 && accounts.length < count; i++) accounts.push(...(yield* told(changes)))
  return accounts.toSorted()
})

describe("what another process", () => {
  it.effect("sets, replaces or removes is told within ten seconds, and nothing else is", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      yield* there.set(one, recordOf("before"))
      const changes = yield* here.changes
      yield* there.set(two, recordOf("set"))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* told(changes), [])
      yield* TestClock.adjust("1 millis")
      while ((yield* PubSub.remaining(changes)) === 0) yield* moment
      assert.deepStrictEqual(yield* told(changes), ["other:two"])
      yield* there.set(one, recordOf("replaced"))
      assert.deepStrictEqual(yield* toldNext(changes), ["github"])
      yield* there.remove(one)
      yield* there.remove(two)
      assert.deepStrictEqual(yield* toldNext(changes, 2), ["github", "other:two"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* told(changes), [])
    }).pipe(Effect.provide(files)),
  )

  it.effect("set before anybody asked, or before there was a folder, is as it is", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const changes = yield* here.changes
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* told(changes), [])
      yield* there.set(one, recordOf("first"))
      assert.deepStrictEqual(yield* toldNext(changes), ["github"])
    }).pipe(Effect.provide(files)),
  )

  it.effect("replaces in the same millisecond, or a person edits in place, is told", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const file = `${accountsDirectory}/github/default.json`
      yield* there.set(one, recordOf("first"))
      const { atime, mtime } = yield* fs.stat(file)
      const changes = yield* here.changes
      yield* there.set(one, recordOf("second"))
      yield* fs.utimes(file, Option.getOrThrow(atime), Option.getOrThrow(mtime))
      assert.deepStrictEqual(yield* toldNext(changes), ["github"])
      yield* fs.writeFileString(file, (yield* fs.readFileString(file)).replace("second", "third"))
      assert.deepStrictEqual(yield* toldNext(changes), ["github"])
    }).pipe(Effect.provide(files)),
  )

  it.effect("does while a folder cannot be read is told when it can", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* there.set(one, recordOf("before"))
      const changes = yield* here.changes
      yield* fs.rename(accountsDirectory, `${accountsDirectory}-away`)
      yield* fs.writeFileString(accountsDirectory, "no folder")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* told(changes), [])
      yield* fs.remove(accountsDirectory)
      yield* fs.rename(`${accountsDirectory}-away`, accountsDirectory)
      yield* there.set(two, recordOf("meanwhile"))
      assert.deepStrictEqual(yield* toldNext(changes), ["other:two"])
    }).pipe(Effect.provide(files)),
  )
})

describe("the folders", () => {
  it.effect("are looked at for as long as somebody wants to know, and no longer", () =>
    Effect.gen(function* () {
      const real = yield* FileSystem.FileSystem
      let looks = 0
      const counting = FileSystem.make({
        ...real,
        readDirectoryEntries: (path: string) => {
          looks++
          return real.readDirectoryEntries(path)
        },
      })
      const store = yield* Effect.provide(
        TokenStore,
        Layer.provide(Layer.fresh(ofFiles), Layer.succeed(FileSystem.FileSystem, counting)),
      )
      const scope = yield* Scope.make()
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(looks, 0)
      yield* Scope.provide(store.changes, scope)
      assert.strictEqual(looks, 1)
      for (const seen of [2, 3, 4]) {
        yield* TestClock.adjust("10 seconds")
        yield* moment
        assert.strictEqual(looks, seen)
      }
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minutes")
      yield* moment
      assert.strictEqual(looks, 4)
    }).pipe(Effect.provide(files)),
  )
})
