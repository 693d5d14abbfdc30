import { spawn } from "node:child_process"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, FileSystem, Layer } from "effect"
import { Digest } from "effect/crypto"
import { TestClock } from "effect/testing"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import * as AccountLockFile from "../../src/broker/AccountLockFile.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { compileCache } from "../support/compileCache.ts"
import * as Programs from "../support/Programs.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { hold, isFree, isTaken, suite } from "./AccountLockContract.ts"

const github = Account.make("github")

const ofFile = AccountLockFile.layer.pipe(Layer.provide(Digest.layerWebCrypto))

const inFiles = (lockPatience = Duration.seconds(10)) =>
  ofFile.pipe(Layer.provideMerge(TemporaryHome.layerConfig({ lockPatience })), Layer.provideMerge(NodeServices.layer))

suite("in memory", (lockPatience) =>
  AccountLock.layerMemory.pipe(Layer.provide(BrokerConfig.layer("/nowhere", { lockPatience }))),
)
suite("in files", inFiles)

describe("an account lock in memory", () => {
  it.effect("is waited for as long as it is set, to the millisecond", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const { fiber } = yield* hold(lock)
      const waiting = yield* Effect.forkChild(Effect.flip(lock.withLock(github, "refresh")(Effect.void)))
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "LockBusy")
      yield* TestClock.adjust("1 hours")
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(AccountLock.layerMemory.pipe(Layer.provide(BrokerConfig.layer("/nowhere"))))),
  )
})

const script = Programs.pathOf("lock-holder")

/** A process that has the lock; it is killed when the scope closes. */
const startHolder = Effect.fnUntraced(function* (home: string, account: Account.AccountKey) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [script, account.toString(), "refresh"], {
        env: { ...compileCache, TOKENKEEP_HOME: home },
        stdio: "pipe",
      }),
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL")),
  )
  yield* Effect.promise(() => new Promise((resolve) => child.stdout.once("data", resolve)))
  return {
    kill: Effect.promise(() => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      return ended
    }),
  }
})

describe.concurrent("an account lock in files", () => {
  it.live("keeps out another process, and is free as soon as that one is killed", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const config = BrokerConfig.layer(home, { lockPatience: Duration.seconds(20) })
      yield* Effect.gen(function* () {
        const lock = yield* AccountLock
        const holder = yield* startHolder(home, github)
        assert.isTrue(yield* lock.isHeld(github, "refresh"))
        assert.isTrue(yield* isTaken(lock))
        assert.isTrue(yield* isFree(lock, Account.make("other")))
        const waiting = yield* Effect.forkChild(lock.withLock(github, "refresh")(Effect.succeed("mine")))
        yield* Effect.sleep("100 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* holder.kill
        assert.strictEqual(yield* Effect.timeout(Fiber.join(waiting), "1 second"), "mine")
      }).pipe(Effect.provide(ofFile.pipe(Layer.provide(config), Layer.provide(NodeServices.layer))))
    }),
  )

  it.live("keeps apart two who have opened it each for itself, as two processes would", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const another = yield* Effect.provide(AccountLock, Layer.fresh(ofFile))
      const { letGo } = yield* hold(lock)
      assert.isTrue(yield* another.isHeld(github, "refresh"))
      assert.isTrue(yield* isTaken(another))
      yield* letGo
      assert.isTrue(yield* isFree(another))
    }).pipe(Effect.provide(inFiles())),
  )

  it.live("does not stop the rest of the process while it is waited for", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const { letGo } = yield* hold(lock)
      let ticks = 0
      const tick = Effect.sync(() => ticks++)
      const ticking = yield* Effect.forkChild(Effect.forever(Effect.delay(tick, "5 millis")))
      yield* Effect.flip(lock.withLock(github, "refresh")(Effect.void))
      yield* Fiber.interrupt(ticking)
      assert.isAbove(ticks, 20)
      yield* letGo
    }).pipe(Effect.provide(inFiles(Duration.seconds(1)))),
  )

  it.live("of a folder that cannot be written is unavailable, and the work is not begun", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* fs.makeDirectory(accountsDirectory, { recursive: true })
      yield* fs.writeFileString(`${accountsDirectory}/github`, "in the way")
      yield* fs.makeDirectory(`${accountsDirectory}/other/default.refresh.lock`, { recursive: true })
      let begun = false
      const work = Effect.sync(() => {
        begun = true
      })
      for (const account of [github, Account.make("other")]) {
        const failure = yield* Effect.flip(lock.withLock(account, "refresh")(work))
        assert.strictEqual(failure._tag, "StoreUnavailable")
        if (failure._tag === "StoreUnavailable") assert.strictEqual(failure.operation, "write")
        assert.isFalse(yield* lock.isHeld(account, "refresh"))
      }
      assert.isFalse(begun)
    }).pipe(Effect.provide(inFiles())),
  )

  it.live("is a file of its owner alone, in a folder of its owner alone", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const mode = (path: string) => Effect.map(fs.stat(path), (info) => info.mode & 0o777)
      yield* lock.withLock(Account.make("git/hub", "a:b"), "record")(Effect.void)
      const [folder = ""] = yield* fs.readDirectory(accountsDirectory)
      const [file = ""] = yield* fs.readDirectory(`${accountsDirectory}/${folder}`)
      assert.match(file, /^[a-z%~0-9A-Z]+\.record\.lock$/)
      assert.strictEqual(yield* mode(`${accountsDirectory}/${folder}/${file}`), 0o600)
      assert.strictEqual(yield* mode(`${accountsDirectory}/${folder}`), 0o700)
    }).pipe(Effect.provide(inFiles())),
  )

  it.live("that is only looked at makes no file, and a forgotten account leaves none", () =>
    Effect.gen(function* () {
      const lock = yield* AccountLock
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      assert.isFalse(yield* lock.isHeld(github, "refresh"))
      assert.isFalse(yield* fs.exists(accountsDirectory))
      yield* lock.withLock(github, "refresh")(Effect.void)
      yield* lock.withLock(github, "record")(Effect.void)
      yield* lock.withLock(Account.make("github", "other"), "record")(Effect.void)
      assert.isFalse(yield* lock.isHeld(Account.make("github", "nobody"), "refresh"))
      const files = Effect.map(fs.readDirectory(`${accountsDirectory}/github`), (names) => names.toSorted())
      assert.deepStrictEqual(yield* files, ["default.record.lock", "default.refresh.lock", "other.record.lock"])
      yield* lock.withLock(github, "record")(lock.forget(github))
      assert.deepStrictEqual(yield* files, ["other.record.lock"])
      yield* lock.withLock(github, "record")(lock.forget(Account.make("github", "nobody")))
    }).pipe(Effect.provide(inFiles())),
  )
})
