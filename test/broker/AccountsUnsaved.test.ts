/**
 * A token that a refresh brought, and a store that does not take it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { LoginsLost } from "../../src/broker/Accounts.ts"
import { Adopted } from "../../src/broker/Adopted.ts"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import * as Logs from "../support/Logs.ts"
import { seconds } from "../support/Records.ts"
import { accessOf, expired, github, gives, login, other, settle, setUp } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

const unavailable = StoreUnavailable.make({ path: "/full", operation: "write" })

/** A store that is full as soon as the intent is written, until it is told otherwise, and a process that can be ended. */
const setUpFull = Effect.gen(function* () {
  const disk = { isFull: true, isAway: false }
  const world = yield* setUp({
    store: ({ get, set }) => ({
      get: (account) => Effect.suspend(() => (disk.isAway ? Effect.fail(unavailable) : get(account))),
      set: (account, record) =>
        Effect.suspend(() =>
          disk.isFull && record.history.last?.outcome === "refreshed" ? Effect.fail(unavailable) : set(account, record),
        ),
    }),
  })
  const scope = yield* Scope.make()
  const process = yield* Scope.provide(world.start(), scope)
  const stored = Effect.map(world.record, ({ token }) => accessOf(token))
  return { ...world, ...process, disk, another: yield* world.start(2), end: Scope.close(scope, Exit.void), stored }
})

describe("a refreshed token that cannot be saved", () => {
  it.effect("is given to the asker, and to everybody who asks after that", () =>
    Effect.gen(function* () {
      const { access, accounts, provider, record, stored } = yield* setUpFull
      assert.strictEqual(yield* access(github), "access-1")
      assert.deepStrictEqual(yield* accounts.unsaved(github), Option.some(unavailable))
      assert.isTrue(Option.isNone(accounts.glance(github)), "what is in the store is not what is true")
      assert.isTrue(Option.isNone(yield* accounts.unsaved(other)))
      const held = Option.getOrThrow(yield* accounts.get(github))
      assert.strictEqual(accessOf(held.token), "access-1")
      assert.strictEqual(Redacted.value(held.token.refreshToken ?? Redacted.make("")), "refresh-1")
      assert.strictEqual(yield* access(github), "access-1")
      yield* TestClock.adjust("40 minutes")
      assert.strictEqual(yield* access(github), "access-1")
      assert.strictEqual(provider.redemptions.length, 1)
      assert.strictEqual(yield* stored, "old")
      assert.strictEqual((yield* record).history.standing._tag, "Sent")
    }),
  )

  it.effect("is told to whoever adopted the login when it is saved, and not before", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const { access, accounts, disk } = yield* Effect.provideService(setUpFull, Adopted, {
        saved: (account, { token }) => Effect.sync(() => void told.push(`${account} ${accessOf(token)}`)),
        spentBy: () => Effect.succeedNone,
        forgotten: () => Effect.void,
      })
      yield* access(github)
      assert.deepStrictEqual(told, [])
      disk.isFull = false
      yield* Effect.forkChild(accounts.saved(github))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(told, ["github access-1"])
    }),
  )

  it.effect("is given also while the store cannot even be read", () =>
    Effect.gen(function* () {
      const { access, accounts, disk } = yield* setUpFull
      yield* access(github)
      disk.isAway = true
      assert.strictEqual(accessOf(Option.getOrThrow(yield* accounts.get(github)).token), "access-1")
      assert.strictEqual(yield* access(github), "access-1")
    }),
  )

  it.effect("is not refreshed again when it has expired, and the asker is told why", () =>
    Effect.gen(function* () {
      const { access, provider, refresh } = yield* setUpFull
      yield* access(github)
      yield* TestClock.adjust("1 hours")
      assert.strictEqual(yield* Effect.flip(refresh(github)), unavailable)
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("keeps other processes from using the refresh token that is spent", () =>
    Effect.gen(function* () {
      const { access, another, disk, provider } = yield* setUpFull
      yield* access(github)
      const refused = yield* Effect.forkChild(tagOf(another.refresh(github)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(refused.pollUnsafe(), Exit.succeed("LockBusy"))
      disk.isFull = false
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(yield* another.access(github), "access-1")
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("is saved within half a minute of the store taking it", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const { access, accounts, disk, record, stored } = yield* setUpFull
      yield* access(github)
      assert.strictEqual(
        logs.lines.filter((line) => line.startsWith("Error The refreshed token of github is in memory only")).length,
        1,
      )
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* stored, "old")
      disk.isFull = false
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual(yield* stored, "access-1")
      assert.deepStrictEqual((yield* record).history.standing, { _tag: "Good" })
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
      assert.include(logs.lines, "Info The refreshed token of github is saved now.")
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("is tried first after a second", () =>
    Effect.gen(function* () {
      const { access, disk, stored } = yield* setUpFull
      yield* access(github)
      disk.isFull = false
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* stored, "old")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* stored, "access-1")
    }),
  )

  it.effect("can be refreshed again once it is saved", () =>
    Effect.gen(function* () {
      const { access, disk, provider } = yield* setUpFull
      yield* access(github)
      disk.isFull = false
      yield* TestClock.adjust("1 hours")
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(
        provider.redemptions.map(({ refreshToken }) => refreshToken),
        ["old", "refresh-1"],
      )
    }),
  )
})

describe("a refreshed token that cannot be saved is dropped", () => {
  it.effect("when another process logs out", () =>
    Effect.gen(function* () {
      const { access, accounts, another, disk, end, refresh, store } = yield* setUpFull
      yield* access(github)
      yield* another.accounts.remove(github)
      assert.isTrue(Option.isNone(yield* accounts.get(github)))
      assert.strictEqual(yield* tagOf(refresh(github)), "TokenNotFound")
      disk.isFull = false
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
      assert.isTrue(Option.isNone(yield* store.get(github)))
      yield* end
    }),
  )

  it.effect("when another process logs in", () =>
    Effect.gen(function* () {
      const { access, accounts, another, disk, end, stored } = yield* setUpFull
      yield* access(github)
      yield* login(another.accounts, github, { ...expired("new"), expiresAt: seconds(9999) })
      assert.strictEqual(accessOf(Option.getOrThrow(yield* accounts.get(github)).token), "new")
      disk.isFull = false
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual(yield* stored, "new")
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
      assert.strictEqual(yield* access(github), "access-2")
      yield* end
    }),
  )

  it.effect("when this process logs out, or in", () =>
    Effect.gen(function* () {
      const { access, accounts, end, store, stored } = yield* setUpFull
      yield* access(github)
      yield* access(other)
      yield* accounts.remove(github)
      assert.isTrue(Option.isNone(yield* accounts.unsaved(github)))
      assert.isTrue(Option.isNone(yield* accounts.get(github)))
      yield* login(accounts, other, expired("new"))
      assert.isTrue(Option.isNone(yield* accounts.unsaved(other)))
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(Option.isNone(yield* store.get(github)))
      yield* login(accounts, github, expired("newer"))
      assert.strictEqual(yield* stored, "newer")
      yield* end
    }),
  )
})

describe("a program that ends with a token in memory only", () => {
  it.effect("saves it at the last moment if it can", () =>
    Effect.gen(function* () {
      const { access, disk, end, stored } = yield* setUpFull
      yield* access(github)
      disk.isFull = false
      yield* end
      assert.strictEqual(yield* stored, "access-1")
    }),
  )

  it.effect("dies, and names each account and what to type", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const { access, end, stored } = yield* setUpFull
      yield* access(github)
      yield* access(other)
      const exit = yield* Effect.exit(end)
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, LoginsLost)
      if (!(defect instanceof LoginsLost)) return
      assert.sameMembers(defect.accounts.map(String), ["github", "other"])
      assert.include(defect.message, "tokenkeep login github; tokenkeep login other")
      assert.include(logs.lines, `Error ${defect.message}`)
      assert.notInclude(logs.lines.join(), "access-1")
      assert.notInclude(logs.lines.join(), "refresh-1")
      assert.strictEqual(yield* stored, "old")
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("in the middle of a refresh waits for the answer, and then does the same", () =>
    Effect.gen(function* () {
      const { disk, end, provider, refresh, stored } = yield* setUpFull
      provider.answers(github, Effect.andThen(Effect.sleep("3 seconds"), gives("late", 3600)))
      yield* Effect.forkChild(Effect.exit(refresh(github)))
      yield* settle
      const ending = yield* Effect.forkChild(Effect.exit(end))
      yield* settle
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      disk.isFull = false
      yield* TestClock.adjust("1 seconds")
      yield* settle
      assert.deepStrictEqual(ending.pollUnsafe(), Exit.succeed(Exit.void))
      assert.strictEqual(yield* stored, "late")
    }),
  )
})
