/**
 * What every account lock must do, whatever it is made of.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Deferred, Duration, Effect, Exit, Fiber, type Layer } from "effect"
import { AccountLock, type Purpose } from "../../src/broker/AccountLock.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import type { LockBusy, StoreUnavailable } from "../../src/domain/Errors.ts"

type Lock = AccountLock["Service"]

const github = Account.make("github")

class OwnFailure extends Data.TaggedError("OwnFailure")<{}> {}

/** A fiber that has the lock until it is let go. */
export const hold = Effect.fnUntraced(function* (
  lock: Lock,
  account: AccountKey = github,
  purpose: Purpose = "refresh",
) {
  const held = yield* Deferred.make<void>()
  const end = yield* Deferred.make<void>()
  const work = Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(end))
  const fiber = yield* Effect.forkChild(lock.withLock(account, purpose)(work))
  yield* Deferred.await(held)
  return { fiber, letGo: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)) }
})

const isHadWithin = (patience: Duration.Input, lock: Lock, account: AccountKey, purpose: Purpose) =>
  lock.withLock(account, purpose)(Effect.void).pipe(Effect.timeout(patience), Effect.exit, Effect.map(Exit.isSuccess))

/** Whether the lock can be had, which may take its time on a busy machine. */
export const isFree = (lock: Lock, account: AccountKey = github, purpose: Purpose = "refresh") =>
  isHadWithin("5 seconds", lock, account, purpose)

/** Whether the lock cannot be had now. */
export const isTaken = (lock: Lock, account: AccountKey = github, purpose: Purpose = "refresh") =>
  Effect.map(isHadWithin("300 millis", lock, account, purpose), (isHad) => !isHad)

/** Fifty who want the lock at once: never two of them have it. */
const crowd = Effect.fnUntraced(function* (lock: Lock, after: Effect.Effect<void>) {
  let inside = 0
  let turns = 0
  const work = Effect.gen(function* () {
    inside++
    yield* Effect.sleep(turns % 10 === 0 ? "2 millis" : 0)
    yield* Effect.yieldNow
    assert.strictEqual(inside, 1)
    turns++
    yield* after
    inside--
  })
  // They come one after the other, so that some come while others wait already.
  const turn = (n: number) => Effect.delay(lock.withLock(github, "record")(work), n)
  yield* Effect.all(
    Array.from({ length: 50 }, (_, n) => turn(n)),
    { concurrency: "unbounded" },
  )
  assert.strictEqual(turns, 50)
})

/** `layerOf` makes locks that are waited for as long as it is told. */
export const suite = <E>(name: string, layerOf: (patience: Duration.Duration) => Layer.Layer<AccountLock, E>) =>
  describe.concurrent(`an account lock ${name}`, () => {
    const test = (
      title: string,
      work: (lock: Lock) => Effect.Effect<void, LockBusy | StoreUnavailable | OwnFailure>,
      patience = Duration.seconds(10),
    ) => it.live(title, () => Effect.flatMap(AccountLock, work).pipe(Effect.provide(layerOf(patience))))

    test("gives what the work gives, and fails as it fails", (lock) =>
      Effect.gen(function* () {
        const withLock = lock.withLock(github, "refresh")
        assert.strictEqual(yield* withLock(Effect.succeed(7)), 7)
        assert.strictEqual((yield* Effect.flip(withLock(new OwnFailure())))._tag, "OwnFailure")
      }))

    test("has one holder of fifty at a time, and everybody has a turn", (lock) => crowd(lock, Effect.void))

    test("has one holder of fifty at a time also if each forgets the account", (lock) =>
      crowd(lock, lock.forget(github)))

    test(
      "that is busy for too long is told so, and the work is not begun",
      (lock) =>
        Effect.gen(function* () {
          const { letGo } = yield* hold(lock)
          let begun = false
          const work = Effect.sync(() => {
            begun = true
          })
          const start = yield* Clock.currentTimeMillis
          const failure = yield* Effect.orDie(Effect.flip(lock.withLock(github, "refresh")(work)))
          const waited = (yield* Clock.currentTimeMillis) - start
          assert.strictEqual(failure._tag, "LockBusy")
          if (failure._tag === "LockBusy") assert.deepStrictEqual(failure.account, github)
          assert.isTrue(waited >= 500 && waited < 3000, `${waited} ms`)
          yield* letGo
          yield* Effect.sleep("100 millis")
          assert.isFalse(begun)
          assert.isTrue(yield* isFree(lock))
        }),
      Duration.seconds(1),
    )

    test(
      "that is had does not run out, however long the work takes",
      (lock) =>
        Effect.gen(function* () {
          const slow = lock.withLock(github, "refresh")(Effect.as(Effect.sleep("700 millis"), "done"))
          assert.strictEqual(yield* slow, "done")
        }),
      Duration.millis(300),
    )

    test("is free again after its holder failed, died or was interrupted", (lock) =>
      Effect.gen(function* () {
        const withLock = lock.withLock(github, "refresh")
        yield* Effect.exit(withLock(new OwnFailure()))
        assert.isTrue(yield* isFree(lock))
        const died = yield* Effect.exit(withLock(Effect.die("a fault")))
        assert.isTrue(Exit.hasDies(died))
        assert.isTrue(yield* isFree(lock))
        const { fiber } = yield* hold(lock)
        assert.isTrue(yield* isTaken(lock))
        yield* Fiber.interrupt(fiber)
        assert.isTrue(yield* isFree(lock))
      }))

    test("is left to others by whoever is interrupted while waiting for it", (lock) =>
      Effect.gen(function* () {
        const { letGo } = yield* hold(lock)
        let begun = false
        const work = Effect.sync(() => {
          begun = true
        })
        const waiting = yield* Effect.forkChild(lock.withLock(github, "refresh")(work))
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(waiting)
        assert.isTrue(yield* isTaken(lock))
        yield* letGo
        assert.isTrue(yield* isFree(lock))
        yield* Effect.sleep("100 millis")
        assert.isFalse(begun)
      }))

    test("keeps no other account waiting, and no other purpose", (lock) =>
      Effect.gen(function* () {
        const { letGo } = yield* hold(lock)
        for (const [account, purpose] of [
          [github, "record"],
          [Account.make("github", "other"), "refresh"],
          [Account.make("other"), "refresh"],
        ] as const) {
          assert.isTrue(yield* isFree(lock, account, purpose))
        }
        assert.isTrue(yield* isTaken(lock))
        yield* letGo
      }))

    test("for a record can be had by whoever has that for a refresh", (lock) =>
      Effect.gen(function* () {
        const both = lock.withLock(github, "refresh")(lock.withLock(github, "record")(Effect.succeed("both")))
        assert.strictEqual(yield* both, "both")
      }))

    test("is seen to be held, and by looking it is not taken", (lock) =>
      Effect.gen(function* () {
        const isHeld = lock.isHeld(github, "refresh")
        assert.isFalse(yield* isHeld)
        const { letGo } = yield* hold(lock)
        assert.isTrue(yield* isHeld)
        assert.isFalse(yield* lock.isHeld(github, "record"))
        assert.isFalse(yield* lock.isHeld(Account.make("other"), "refresh"))
        yield* letGo
        const looks = yield* Effect.all(
          Array.from({ length: 20 }, () => isHeld),
          { concurrency: "unbounded" },
        )
        assert.deepStrictEqual([...new Set(looks)], [false])
        assert.isTrue(yield* isFree(lock))
      }))

    test("of a refresh that is under way stays when the account is forgotten", (lock) =>
      Effect.gen(function* () {
        const { letGo } = yield* hold(lock)
        yield* lock.withLock(github, "record")(lock.forget(github))
        assert.isTrue(yield* lock.isHeld(github, "refresh"))
        assert.isTrue(yield* isTaken(lock))
        yield* letGo
        assert.isTrue(yield* isFree(lock))
      }))

    test("works for whoever may not be interrupted", (lock) =>
      Effect.gen(function* () {
        const withLock = lock.withLock(github, "refresh")
        assert.strictEqual(yield* Effect.uninterruptible(withLock(Effect.succeed(1))), 1)
        const { letGo } = yield* hold(lock)
        const waiting = yield* Effect.forkChild(Effect.uninterruptible(withLock(Effect.succeed(2))))
        yield* Effect.sleep("20 millis")
        yield* letGo
        assert.strictEqual(yield* Fiber.join(waiting), 2)
      }))
  })
