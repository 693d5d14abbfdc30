/**
 * What others do to an account while it is refreshed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import * as Logs from "../support/Logs.ts"
import { seconds } from "../support/Records.ts"
import {
  accessOf,
  expired,
  fails,
  github,
  gives,
  hashOf,
  login,
  makeGate,
  settle,
  setUp,
} from "../support/Refreshing.ts"

const trouble = Reason.Transient({ what: "server-error" })
const lost = Reason.Transient({ what: "connection-lost" })
const refused = Reason.ReloginNeeded()

/** A refresh under way whose answer waits for the gate. */
const underWay = Effect.fnUntraced(function* (answer = gives("late", 3600)) {
  const world = yield* setUp()
  const gate = yield* makeGate
  world.provider.answers(github, gate.before(answer))
  const refreshing = yield* Effect.forkChild(Effect.result(world.refresh(github)))
  yield* gate.asked
  const end = Effect.andThen(gate.open, Fiber.join(refreshing))
  return { ...world, end }
})

const fresh = (name: string) => ({ ...expired(name), expiresAt: seconds(3600) })

describe("a refresh during which somebody", () => {
  for (const [what, answer] of [
    ["that works", gives("late", 3600)],
    ["that is refused", fails(refused)],
    ["whose answer is lost", fails(lost)],
  ] as const) {
    it.effect(`logs out, ${what}, does not bring the login back`, () =>
      Effect.gen(function* () {
        const { accounts, end, provider, store } = yield* underWay(answer)
        yield* accounts.remove(github)
        const result = yield* end
        assert.containSubset(result, { _tag: "Failure", failure: { _tag: "TokenNotFound" } })
        assert.isTrue(Option.isNone(yield* store.get(github)))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(provider.redemptions.length, 1)
        assert.isTrue(Option.isNone(yield* store.get(github)))
      }),
    )

    it.effect(`logs in anew, ${what}, gives the new token and leaves the new login as it is`, () =>
      Effect.gen(function* () {
        const { accounts, end, provider, record } = yield* underWay(answer)
        yield* login(accounts, github, fresh("new"))
        const result = yield* end
        assert.strictEqual(result._tag, "Success")
        if (result._tag === "Success") assert.strictEqual(accessOf(result.success), "new")
        assert.strictEqual(provider.redemptions.length, 1)
        const { history, token } = yield* record
        assert.strictEqual(accessOf(token), "new")
        assert.deepInclude(history, { epoch: 0, standing: { _tag: "Good" } })
      }),
    )
  }

  it.effect("logs in anew with a token that has expired already says so", () =>
    Effect.gen(function* () {
      const { accounts, end, record } = yield* underWay()
      yield* login(accounts, github, expired("new"))
      assert.containSubset(yield* end, { _tag: "Failure", failure: { _tag: "RefreshFailed" } })
      assert.strictEqual(accessOf((yield* record).token), "new")
    }),
  )

  it.effect("brings an access token from elsewhere keeps what the refresh brought", () =>
    Effect.gen(function* () {
      const { accounts, end, record } = yield* underWay()
      yield* accounts.update(github, (current) => {
        const { token, ...rest } = Option.getOrThrow(current)
        return Effect.succeed({ ...rest, token: { ...token, accessToken: Redacted.make("brought"), scope: "brought" } })
      })
      yield* end
      const { history, token } = yield* record
      assert.strictEqual(accessOf(token), "late")
      assert.strictEqual(token.scope, "brought")
      assert.deepInclude(history, { epoch: 1, standing: { _tag: "Good" } })
    }),
  )
})

describe("a refresh that is to be tried again, when meanwhile somebody", () => {
  for (const reason of [trouble, lost]) {
    it.effect(`logs out (${reason.what}), sends nothing more`, () =>
      Effect.gen(function* () {
        const { accounts, provider, refresh, store } = yield* setUp()
        provider.answers(github, fails(reason))
        const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
        yield* TestClock.adjust("500 millis")
        yield* accounts.remove(github)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(asking))._tag, "TokenNotFound")
        assert.deepStrictEqual(provider.times(), [0])
        assert.isTrue(Option.isNone(yield* store.get(github)))
      }),
    )

    it.effect(`logs in anew (${reason.what}), does not send the old token again, and gives the new one`, () =>
      Effect.gen(function* () {
        const { access, accounts, provider, record } = yield* setUp()
        provider.answers(github, fails(reason))
        const asking = yield* Effect.forkChild(access(github))
        yield* TestClock.adjust("500 millis")
        yield* login(accounts, github, fresh("new"))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(
          provider.redemptions.map(({ refreshToken }) => refreshToken),
          ["old"],
        )
        assert.strictEqual(yield* Fiber.join(asking), "new")
        assert.strictEqual(accessOf((yield* record).token), "new")
      }),
    )
  }

  it.effect("logs in anew, does not take the old token's refusal for the new login's", () =>
    Effect.gen(function* () {
      const { accounts, provider, record, refresh } = yield* setUp()
      provider.answers(github, fails(trouble), fails(refused))
      const asking = yield* Effect.forkChild(Effect.exit(refresh(github)))
      yield* TestClock.adjust("500 millis")
      yield* login(accounts, github, fresh("new"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(asking)
      const { history, token } = yield* record
      assert.strictEqual(Redacted.value(token.refreshToken ?? Redacted.make("")), "new")
      assert.deepStrictEqual(history.standing, { _tag: "Good" })
    }),
  )
})

describe("a refresh that waits for its turn", () => {
  it.effect("shows the token of a login that was made meanwhile to nobody but who gave it", () =>
    Effect.gen(function* () {
      const { accounts, lock, provider, refresh } = yield* setUp()
      const done = yield* Deferred.make<void>()
      yield* Effect.forkChild(lock.withLock(github, "refresh")(Deferred.await(done)))
      const asking = yield* Effect.forkChild(Effect.exit(refresh(github)))
      yield* settle
      const record = AccountRecord.fromLogin(expired("new"), seconds(0), {
        server: "https://new.example",
        clientId: "c",
      })
      yield* accounts.update(github, () => Effect.succeed(record))
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(asking)
      assert.deepStrictEqual(provider.redemptions, [])
    }),
  )

  it.effect("gives the token that was got meanwhile, and asks for no other", () =>
    Effect.gen(function* () {
      const { access, accounts, lock, provider } = yield* setUp()
      const done = yield* Deferred.make<void>()
      yield* Effect.forkChild(lock.withLock(github, "refresh")(Deferred.await(done)))
      const asking = yield* Effect.forkChild(access(github))
      yield* settle
      yield* login(accounts, github, fresh("new"))
      yield* Deferred.succeed(done, undefined)
      assert.strictEqual(yield* Fiber.join(asking), "new")
      assert.deepStrictEqual(provider.redemptions, [])
    }),
  )
})

describe("a store that fails", () => {
  it.effect("before anything is sent keeps it from being sent, and the old token stays", () =>
    Effect.gen(function* () {
      const unavailable = StoreUnavailable.make({ path: "/nowhere", operation: "write" })
      let isFull = true
      const { access, provider, record, refresh } = yield* setUp({
        store: ({ set }) => ({
          set: (...args) => Effect.suspend(() => (isFull ? Effect.fail(unavailable) : set(...args))),
        }),
      })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* Effect.flip(refresh(github)))._tag, "StoreUnavailable")
        yield* TestClock.adjust("10 seconds")
      }
      assert.deepStrictEqual(provider.redemptions, [])
      assert.strictEqual(accessOf((yield* record).token), "old")
      isFull = false
      assert.strictEqual(yield* access(github), "access-1")
    }),
  )
})

describe("a store that does not take what is to be written down of a failure", () => {
  it.effect("does not hide the failure", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const unavailable = StoreUnavailable.make({ path: "/nowhere", operation: "write" })
      const { provider, record, refresh } = yield* setUp({
        store: ({ set }) => ({
          set: (account, record) => (record.history.failures > 0 ? Effect.fail(unavailable) : set(account, record)),
        }),
      })
      provider.answers(github, fails(refused))
      assert.strictEqual((yield* Effect.flip(refresh(github)))._tag, "ReauthRequired")
      assert.include(logs.lines, `Warn ${unavailable.message}`)
      assert.strictEqual((yield* record).history.standing._tag, "Sent")
    }).pipe(Effect.provide(logs.layer))
  })
})

describe("a lock that is busy", () => {
  for (const purpose of ["refresh", "record"] as const) {
    it.effect(`for changing the ${purpose} keeps anything from being sent`, () =>
      Effect.gen(function* () {
        const { lock, provider, refresh } = yield* setUp()
        const holding = yield* Effect.forkChild(lock.withLock(github, purpose)(Effect.never))
        const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(asking))._tag, "LockBusy")
        assert.deepStrictEqual(provider.redemptions, [])
        yield* Fiber.interrupt(holding)
        yield* refresh(github)
        assert.strictEqual(provider.redemptions.length, 1)
      }),
    )
  }
})

describe("two processes over one store", () => {
  it.effect("that want the same account at the same time use its refresh token once", () =>
    Effect.gen(function* () {
      const { access, provider, start } = yield* setUp()
      const another = yield* start(2)
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("shared", 3600)))
      const asking = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) =>
        Effect.forkChild((i % 2 === 0 ? access : another.access)(github)),
      )
      yield* gate.asked
      yield* gate.open
      const answers = yield* Effect.forEach(asking, Fiber.join)
      assert.deepStrictEqual([...new Set(answers)], ["shared"])
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("of which the first is refused: the second asks nobody", () =>
    Effect.gen(function* () {
      const { provider, refresh, start } = yield* setUp()
      const another = yield* start(2)
      const gate = yield* makeGate
      provider.answers(github, gate.before(fails(refused)))
      const first = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* gate.asked
      const second = yield* Effect.forkChild(Effect.flip(another.refresh(github)))
      yield* settle
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(first))._tag, "ReauthRequired")
      assert.strictEqual((yield* Fiber.join(second))._tag, "ReauthRequired")
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )

  it.effect("of which the first dies: the second tries, and knows", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, start } = yield* setUp()
      const another = yield* start(2)
      provider.answers(github, Effect.die("killed"), fails(lost))
      yield* Effect.exit(another.refresh(github))
      assert.strictEqual((yield* record).history.standing._tag, "Sent")
      yield* Effect.flip(refresh(github))
      const { standing } = (yield* record).history
      assert.deepStrictEqual(standing, {
        _tag: "Suspect",
        attempt: { at: seconds(0), pid: 1, refreshTokenHash: hashOf("old") },
      })
    }),
  )
})
