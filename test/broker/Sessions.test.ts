import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, Ref } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type { LoginInProgress } from "../../src/broker/LoginInProgress.ts"
import { Sessions } from "../../src/broker/Sessions.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Connected, inProcess } from "../../src/domain/Peer.ts"
import { GrantDenied } from "../../src/oauth/GrantFailure.ts"
import { tagOf } from "../support/tagOf.ts"

const layer = (lifetime = Duration.minutes(10)) =>
  Sessions.layer.pipe(
    Layer.provide(BrokerConfig.layer("/nowhere", { sessionLifetime: lifetime, sessionsPerPeer: 100 })),
    Layer.provide(SecureRandom.layerWebCrypto),
  )

const login: LoginInProgress = {
  _tag: "pkce_redirect",
  ended: () => Effect.void,
  granter: { server: "https://id.example", clientId: "c" },
  redeem: () => Effect.fail(new GrantDenied()),
}
const owner = { account: Account.make("github"), peer: inProcess }
const stranger = Connected({ uid: 4711, grant: "other" })
const begin = Effect.succeed({ login })

/** Begins a session that notes in `closed` when what it owns is closed. */
const beginNoting = (closed: Ref.Ref<number>) =>
  Effect.as(
    Effect.addFinalizer(() => Ref.update(closed, (n) => n + 1)),
    { login },
  )

describe("Sessions", () => {
  it.effect("gives each session 128 random bits as 32 hexadecimal digits", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const ids = yield* Effect.replicateEffect(
        Effect.map(sessions.create(owner, begin), ({ session }) => session.id),
        100,
      )
      assert.strictEqual(new Set(ids).size, 100)
      for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("keeps a session for 9:59 and has expired it at 10:01", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual((yield* sessions.get(session.id, inProcess)).id, session.id)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* tagOf(sessions.get(session.id, inProcess)), "SessionExpired")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("says expired, not unknown, between the end of a session's life and the next sweep", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      yield* TestClock.adjust("91 seconds")
      assert.strictEqual(yield* tagOf(sessions.get(session.id, inProcess)), "SessionExpired")
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* tagOf(sessions.get(session.id, inProcess)), "SessionNotFound")
    }).pipe(Effect.provide(layer(Duration.seconds(90)))),
  )

  it.effect("lives no longer than the login in it", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, Effect.succeed({ login, expiresIn: Duration.seconds(30) }))
      assert.strictEqual(DateTime.toEpochMillis(session.expiresAt), 30_000)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("sweeps expired and used sessions after 60 s and closes what they own", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const closed = yield* Ref.make(0)
      const short = Effect.map(beginNoting(closed), (begun) => ({ ...begun, expiresIn: Duration.seconds(20) }))
      yield* sessions.create(owner, short)
      const { session: used } = yield* sessions.create(owner, beginNoting(closed))
      const { session: live } = yield* sessions.create(owner, beginNoting(closed))
      yield* sessions.take(used.id, inProcess)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* sessions.size, 3)
      assert.strictEqual(yield* Ref.get(closed), 0)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* sessions.size, 1)
      assert.strictEqual(yield* Ref.get(closed), 2)
      assert.strictEqual((yield* sessions.get(live.id, inProcess)).id, live.id)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("does not sweep a session whose exchange may still be under way", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      yield* TestClock.adjust("50 seconds")
      yield* sessions.take(session.id, inProcess)
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(yield* sessions.isTaken(session.id))
      yield* TestClock.adjust("60 seconds")
      assert.isFalse(yield* sessions.isTaken(session.id))
    }).pipe(Effect.provide(layer())),
  )

  it.effect("are limited in number for each peer, and ended or failed ones do not count", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const created = yield* Effect.replicateEffect(sessions.create(owner, begin), 100)
      assert.strictEqual(yield* tagOf(sessions.create(owner, begin)), "RateLimited")
      yield* sessions.create({ ...owner, peer: stranger }, begin)
      yield* Effect.forEach(created.slice(0, 2), ({ session }) => sessions.remove(session.id, inProcess))
      yield* Effect.exit(sessions.create(owner, Effect.fail({ _tag: "no" })))
      yield* sessions.create(owner, begin)
      yield* sessions.create(owner, begin)
      assert.strictEqual(yield* tagOf(sessions.create(owner, begin)), "RateLimited")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("checks that a session exists, is unused, is not expired and belongs to the peer, in that order", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      assert.strictEqual(yield* tagOf(sessions.get("0".repeat(32), stranger)), "SessionNotFound")
      const { session: first } = yield* sessions.create(owner, begin)
      const { session: second } = yield* sessions.create(owner, begin)
      assert.strictEqual(yield* tagOf(sessions.get(first.id, stranger)), "PeerMismatch")
      yield* sessions.take(first.id, inProcess)
      yield* TestClock.setTime(40_000)
      assert.strictEqual(yield* tagOf(sessions.get(first.id, stranger)), "SessionUsed")
      assert.strictEqual(yield* tagOf(sessions.get(second.id, stranger)), "SessionExpired")
    }).pipe(Effect.provide(layer(Duration.seconds(30)))),
  )

  it.effect("lets one of many concurrent callers take a session", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      const exits = yield* Effect.all(
        Array.from({ length: 500 }, () => Effect.exit(sessions.take(session.id, inProcess))),
        { concurrency: "unbounded" },
      )
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("forgets a completed session, and keeps one that was never taken", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      yield* sessions.complete(session.id)
      assert.strictEqual(yield* sessions.size, 1)
      yield* sessions.take(session.id, inProcess)
      yield* sessions.complete(session.id)
      assert.strictEqual(yield* tagOf(sessions.get(session.id, inProcess)), "SessionNotFound")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("removes a session for its own peer only, and does not mind an unknown one", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      yield* sessions.remove("f".repeat(32), stranger)
      assert.strictEqual(yield* tagOf(sessions.remove(session.id, stranger)), "PeerMismatch")
      yield* sessions.remove(session.id, inProcess)
      assert.strictEqual(yield* sessions.size, 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("ends everything that sessions own when it is closed or cleared", () =>
    Effect.gen(function* () {
      const closed = yield* Ref.make(0)
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions
        yield* sessions.create(owner, beginNoting(closed))
        yield* sessions.clear
        assert.strictEqual(yield* Ref.get(closed), 1)
        yield* sessions.create(owner, beginNoting(closed))
      }).pipe(Effect.provide(layer()))
      assert.strictEqual(yield* Ref.get(closed), 2)
    }),
  )

  it.effect("closes what a login has opened when it cannot begin, or is interrupted while beginning", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const closed = yield* Ref.make(0)
      const reached = yield* Deferred.make<void>()
      yield* Effect.exit(sessions.create(owner, Effect.andThen(beginNoting(closed), Effect.fail("no"))))
      assert.strictEqual(yield* Ref.get(closed), 1)
      const hanging = Effect.andThen(
        beginNoting(closed),
        Effect.andThen(Deferred.succeed(reached, undefined), Effect.never),
      )
      const fiber = yield* Effect.forkChild(sessions.create(owner, hanging))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Ref.get(closed), 2)
      assert.strictEqual(yield* sessions.size, 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("hands the login to whoever takes it and keeps nothing of it", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { session } = yield* sessions.create(owner, begin)
      const taken = yield* sessions.take(session.id, inProcess)
      assert.strictEqual(taken.login, login)
      const denied = taken.login._tag === "pkce_redirect" ? yield* tagOf(taken.login.redeem(Redacted.make("x"))) : ""
      assert.strictEqual(denied, "GrantDenied")
    }).pipe(Effect.provide(layer())),
  )
})
