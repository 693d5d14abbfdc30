import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Fiber, FileSystem, Layer, Option, PubSub, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import * as AccountLockFile from "../../src/broker/AccountLockFile.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { attemptAt, recordInClear, recordOf, seconds } from "../support/Records.ts"
import { settle } from "../support/Refreshing.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const github = Account.make("github")

class OwnFailure extends Data.TaggedError("OwnFailure")<{}> {}

const inMemory = Accounts.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(TokenStore.layerMemory, AccountLock.layerMemory)),
  Layer.provideMerge(BrokerConfig.layer("/nowhere")),
)

const inFiles = Accounts.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(TokenStoreFile.layer, AccountLockFile.layer)),
  Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provideMerge(NodeServices.layer),
)

/** The record after one more use of the refresh token. */
const counted = (record: AccountRecord.AccountRecord) => AccountRecord.withSent(record, attemptAt(1))

const set = (record: AccountRecord.AccountRecord) =>
  Effect.flatMap(Accounts, (accounts) => accounts.update(github, () => Effect.succeed(record)))

const stored = Effect.flatMap(Accounts, (accounts) =>
  Effect.map(accounts.get(github), (found) => Option.getOrUndefined(Option.map(found, recordInClear))),
)

describe("a record", () => {
  for (const [where, layer] of [
    ["in memory", inMemory],
    ["in files", inFiles],
  ] as const) {
    it.live(`${where} is changed by one at a time, so that no change is lost`, () =>
      Effect.gen(function* () {
        const accounts = yield* Accounts
        yield* set(recordOf("one"))
        const change = accounts.update(github, (current) =>
          Effect.as(Effect.yieldNow, counted(Option.getOrThrow(current))),
        )
        yield* Effect.all(
          Array.from({ length: 20 }, () => change),
          { concurrency: "unbounded" },
        )
        assert.strictEqual((yield* stored)?.history.epoch, 20)
      }).pipe(Effect.provide(layer)),
    )
  }

  it.effect("is what the change makes of what is there, if anything is", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const seen: Array<boolean> = []
      const change = (current: Option.Option<AccountRecord.AccountRecord>) => {
        seen.push(Option.isSome(current))
        return Effect.succeed(recordOf(String(seen.length)))
      }
      const first = yield* accounts.update(github, change)
      const second = yield* accounts.update(github, change)
      assert.deepStrictEqual(seen, [false, true])
      assert.deepStrictEqual(
        [recordInClear(first), recordInClear(second)],
        [recordInClear(recordOf("1")), yield* stored],
      )
    }).pipe(Effect.provide(inMemory)),
  )

  it.effect("stays as it is when the change fails", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      yield* set(recordOf("one"))
      const failure = yield* Effect.flip(accounts.update(github, () => new OwnFailure()))
      assert.strictEqual(failure._tag, "OwnFailure")
      assert.deepStrictEqual(yield* stored, recordInClear(recordOf("one")))
    }).pipe(Effect.provide(inMemory)),
  )

  it.effect("that is set or removed is told", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const changes = yield* accounts.changes
      yield* set(recordOf("one"))
      assert.deepStrictEqual(yield* accounts.list, [github])
      yield* accounts.remove(github)
      assert.deepStrictEqual(yield* accounts.list, [])
      assert.deepStrictEqual(yield* PubSub.takeAll(changes), [github, github])
    }).pipe(Effect.provide(inMemory)),
  )
})

describe("what a refresh brought", () => {
  /** Keeps it, as the refresher does: with the lock. */
  const keep = (sent: AccountRecord.AccountRecord) =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const lock = yield* AccountLock
      const change = (current: AccountRecord.AccountRecord) =>
        AccountRecord.withRefreshed(current, { accessToken: Redacted.make("new"), scope: "new" }, seconds(10))
      return yield* lock.withLock(github, "refresh")(accounts.keep(github, sent, change))
    })

  it.effect("is kept, with what else has changed in the same login", () =>
    Effect.gen(function* () {
      const sent = counted(recordOf("one"))
      yield* set({ ...sent, token: { ...sent.token, tokenType: "DPoP" } })
      const kept = yield* keep(sent)
      assert.strictEqual(kept._tag, "Kept")
      if (kept._tag === "Kept") assert.deepStrictEqual(recordInClear(kept.record), yield* stored)
      const found = yield* stored
      assert.containSubset(found?.token, { accessToken: "new", tokenType: "DPoP", scope: "new" })
    }).pipe(Effect.provide(inMemory)),
  )

  it.effect("is not kept after a logout", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* keep(counted(recordOf("one"))), { _tag: "LoggedOut" })
      assert.isUndefined(yield* stored)
    }).pipe(Effect.provide(inMemory)),
  )

  it.effect("is not kept in place of a new login", () =>
    Effect.gen(function* () {
      yield* set(recordOf("newer"))
      const kept = yield* keep(counted(recordOf("one")))
      assert.strictEqual(kept._tag, "LoggedIn")
      assert.deepStrictEqual(yield* stored, recordInClear(recordOf("newer")))
    }).pipe(Effect.provide(inMemory)),
  )

  it.live("where the whole folder is away is not taken for a logout", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const lock = yield* AccountLock
      const sent = counted(recordOf("one"))
      yield* set(sent)
      yield* lock.withLock(
        github,
        "refresh",
      )(
        Effect.gen(function* () {
          yield* fs.rename(accountsDirectory, `${accountsDirectory}-away`)
          const keeping = yield* Effect.forkChild(accounts.keep(github, sent, (current) => current))
          assert.strictEqual((yield* Fiber.join(keeping))._tag, "Kept")
          assert.isTrue(Option.isSome(yield* accounts.unsaved(github)))
          yield* fs.remove(accountsDirectory, { recursive: true })
          yield* fs.rename(`${accountsDirectory}-away`, accountsDirectory)
          yield* accounts.saved(github)
        }),
      )
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
    }).pipe(Effect.provide(inFiles)),
  )
})

describe("what a dead process had brought", () => {
  it.live("takes the place of what it had sent, and of nothing else", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      const folder = `${accountsDirectory}/github`
      const sent = counted(recordOf("one"))
      const brought = AccountRecord.withRefreshed(sent, { accessToken: Redacted.make("brought") }, seconds(2))
      yield* set(brought)
      const bytes = yield* fs.readFileString(`${folder}/default.json`)
      const left = `${folder}/default.json.0.tmp`
      const leave = Effect.andThen(fs.writeFileString(left, bytes), fs.utimes(left, 0, 0))

      yield* set(sent)
      yield* leave
      const found = Option.getOrThrow(yield* accounts.recover(github))
      assert.deepStrictEqual(recordInClear(found), recordInClear(brought))
      assert.deepStrictEqual(yield* stored, recordInClear(brought))
      assert.isFalse(yield* fs.exists(left))

      for (const other of [recordOf("one"), recordOf("two"), AccountRecord.withSent(recordOf("one"), attemptAt(2))]) {
        yield* set(other)
        yield* leave
        const kept = Option.getOrThrow(yield* accounts.recover(github))
        assert.deepStrictEqual(recordInClear(kept), recordInClear(other))
      }
      yield* accounts.remove(github)
      assert.isTrue(Option.isNone(yield* accounts.recover(github)))
    }).pipe(Effect.provide(inFiles)),
  )
})

describe("forgetting an account", () => {
  it.live("that there is leaves no trace of it, and that there is not makes none", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* accounts.remove(github)
      assert.isFalse(yield* fs.exists(accountsDirectory))
      yield* accounts.update(Account.make("github", "stays"), () => Effect.succeed(recordOf("stays")))
      yield* set(recordOf("goes"))
      yield* accounts.remove(github)
      yield* accounts.remove(github)
      for (let i = 0; i < 10; i++) yield* accounts.remove(Account.make("github", `nobody${i}`))
      const left = (yield* fs.readDirectory(`${accountsDirectory}/github`)).toSorted()
      assert.deepStrictEqual(left, ["stays.json", "stays.record.lock"])
    }).pipe(Effect.provide(inFiles)),
  )

  it.live("whose file is damaged works", () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const fs = yield* FileSystem.FileSystem
      const { accountsDirectory } = yield* BrokerConfig
      yield* set(recordOf("one"))
      yield* fs.writeFileString(`${accountsDirectory}/github/default.json`, "{")
      yield* accounts.remove(github)
      assert.isUndefined(yield* stored)
    }).pipe(Effect.provide(inFiles)),
  )
})

describe("while somebody is changing the record", () => {
  const sent = counted(recordOf("one"))

  /** A record that somebody is changing, until the test says that it is done. */
  const changing = Effect.gen(function* () {
    const accounts = yield* Accounts
    const lock = yield* AccountLock
    yield* set(sent)
    const done = yield* Deferred.make<void>()
    yield* Effect.forkChild(lock.withLock(github, "record")(Deferred.await(done)))
    yield* settle
    return { accounts, done: Deferred.succeed(done, undefined) }
  })

  for (const [what, work] of [
    ["change it", (accounts: Accounts["Service"]) => accounts.update(github, () => Effect.succeed(recordOf("two")))],
    ["recover it", (accounts: Accounts["Service"]) => accounts.recover(github)],
    ["forget it", (accounts: Accounts["Service"]) => accounts.remove(github)],
  ] as const) {
    it.effect(`who wants to ${what} waits, and in the end does nothing`, () =>
      Effect.gen(function* () {
        const { accounts } = yield* changing
        const waiting = yield* Effect.forkChild(Effect.result(work(accounts)))
        yield* TestClock.adjust("9999 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.containSubset(yield* Fiber.join(waiting), { _tag: "Failure", failure: { _tag: "LockBusy" } })
        assert.deepStrictEqual(yield* stored, recordInClear(sent))
      }).pipe(Effect.provide(inMemory)),
    )
  }

  const refreshed = (current: AccountRecord.AccountRecord) =>
    AccountRecord.withRefreshed(current, { accessToken: Redacted.make("new") }, seconds(10))

  it.effect("who wants to keep what a refresh brought is not to be interrupted", () =>
    Effect.gen(function* () {
      const { accounts, done } = yield* changing
      const keeping = yield* Effect.forkChild(accounts.keep(github, sent, refreshed))
      yield* settle
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(keeping))
      yield* settle
      assert.isUndefined(interrupting.pollUnsafe())
      yield* done
      yield* Fiber.join(interrupting)
      assert.strictEqual((yield* stored)?.token.accessToken, "new")
    }).pipe(Effect.provide(inMemory)),
  )

  it.effect("what a refresh brought is kept in memory at last, and saved when that is over", () =>
    Effect.gen(function* () {
      const { accounts, done } = yield* changing
      const keeping = yield* Effect.forkChild(accounts.keep(github, sent, refreshed))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(keeping))._tag, "Kept")
      assert.strictEqual(Option.getOrThrow(yield* accounts.unsaved(github))._tag, "LockBusy")
      assert.strictEqual((yield* stored)?.token.accessToken, "new")
      yield* done
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
    }).pipe(Effect.provide(inMemory)),
  )
})
