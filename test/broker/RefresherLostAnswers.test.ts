/**
 * A refresh token that was sent, and no answer: the provider may have replaced it by one that nobody has.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import { attemptAt, seconds } from "../support/Records.ts"
import { accessOf, fails, github, gives, hashOf, makeGate, type Options, settle, setUp } from "../support/Refreshing.ts"

const lost = Reason.Transient({ what: "connection-lost" })
const refused = Reason.ReloginNeeded()
const trouble = Reason.Transient({ what: "server-error" })

describe("a refresh whose answer is lost", () => {
  for (const what of ["connection-lost", "timeout", "gateway", "malformed-answer"] as const) {
    it.effect(`(${what}) is sent once more, after 1 s, and then the login is suspect`, () =>
      Effect.gen(function* () {
        const { provider, record, refresh } = yield* setUp()
        provider.answers(github, ...[1, 2, 3].map(() => fails(Reason.Transient({ what }))))
        const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(provider.times(), [0])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(provider.times(), [0, 1])
        assert.strictEqual((yield* Fiber.join(asking))._tag, "RefreshFailed")
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual(provider.times(), [0, 1])
        const { history, token } = yield* record
        assert.strictEqual(accessOf(token), "old")
        assert.deepStrictEqual(history.standing, {
          _tag: "Suspect",
          attempt: { at: seconds(1), pid: 1, refreshTokenHash: hashOf("old") },
        })
        assert.strictEqual(history.last?.outcome, "lost")
        assert.strictEqual(history.failures, 1)
      }),
    )
  }

  it.effect("is sent once more also where there is time", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      provider.answers(github, ...[1, 2, 3].map(() => fails(lost)))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github, "ahead of time")))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(asking)
      assert.deepStrictEqual(provider.times(), [0, 1])
    }),
  )

  it.effect("is suspect already while it waits to be sent again", () =>
    Effect.gen(function* () {
      const { provider, record, refresh } = yield* setUp()
      provider.answers(github, fails(lost))
      const asking = yield* Effect.forkChild(refresh(github))
      yield* settle
      assert.strictEqual((yield* record).history.standing._tag, "Suspect")
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(asking)
      assert.strictEqual((yield* record).history.standing._tag, "Good")
    }),
  )

  it.effect("and then is refused was lost with the login, and the record says so", () =>
    Effect.gen(function* () {
      const { provider, record, refresh } = yield* setUp()
      provider.answers(github, fails(lost), fails(refused))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(asking))._tag, "ReauthRequired")
      assert.deepStrictEqual((yield* record).history.standing, {
        _tag: "Refused",
        at: seconds(1),
        lost: { at: seconds(0), pid: 1, refreshTokenHash: hashOf("old") },
      })
    }),
  )

  it.effect("stays suspect through other failures, and is good again with the first answer", () =>
    Effect.gen(function* () {
      const { access, provider, record, refresh } = yield* setUp()
      provider.answers(github, fails(lost), fails(lost), ...[1, 2, 3].map(() => fails(trouble)))
      const first = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(first)
      const second = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(second)
      assert.deepStrictEqual(provider.times(), [0, 1, 6, 7, 10])
      assert.strictEqual((yield* record).history.standing._tag, "Suspect")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* access(github), "access-6")
      assert.deepStrictEqual((yield* record).history.standing, { _tag: "Good" })
    }),
  )

  it.effect("of a login that was suspect because of an earlier refresh token is sent once more", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, store } = yield* setUp()
      const { history, ...rest } = yield* record
      const standing = { _tag: "Suspect", attempt: attemptAt(-9) } as const
      yield* store.set(github, { ...rest, history: { ...history, standing } })
      provider.answers(github, fails(lost), fails(lost))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(asking)
      assert.deepStrictEqual(provider.times(), [0, 1])
    }),
  )

  it.effect("of a login that was suspect before is not sent again at once", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, store } = yield* setUp()
      const { history, ...rest } = yield* record
      yield* store.set(github, {
        ...rest,
        history: {
          ...history,
          standing: { _tag: "Suspect", attempt: { ...attemptAt(-9), refreshTokenHash: hashOf("old") } },
        },
      })
      provider.answers(github, fails(lost), fails(lost))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(asking)
      assert.deepStrictEqual(provider.times(), [0])
    }),
  )

  it.effect("before anything was sent is not lost", () =>
    Effect.gen(function* () {
      const { provider, record, refresh } = yield* setUp()
      for (let i = 0; i < 3; i++) provider.begins(Effect.fail(lost))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(asking)
      assert.deepStrictEqual(provider.redemptions, [])
      const { history } = yield* record
      assert.deepInclude(history, { epoch: 0, standing: { _tag: "Good" } })
      assert.strictEqual(history.last?.outcome, "transient")
    }),
  )
})

/** A login whose refresh token another process had sent when it died. */
const setUpCrash = Effect.fnUntraced(function* (store: Options["store"] = () => ({})) {
  const world = yield* setUp({ store })
  const attempt = { ...attemptAt(-60, 4711), refreshTokenHash: hashOf("old") }
  const sent = AccountRecord.withSent(yield* world.record, attempt)
  yield* world.store.set(github, sent)
  return { ...world, attempt, sent }
})

describe("a process that died over a refresh", () => {
  it.effect("has lost nothing if the provider takes the token a second time", () =>
    Effect.gen(function* () {
      const { access, record } = yield* setUpCrash()
      assert.strictEqual(yield* access(github), "access-1")
      assert.deepInclude((yield* record).history, { epoch: 2, standing: { _tag: "Good" } })
    }),
  )

  it.effect("has lost the login if not, and the record says when and who that was", () =>
    Effect.gen(function* () {
      const { attempt, provider, record, refresh } = yield* setUpCrash()
      provider.answers(github, fails(refused))
      assert.strictEqual((yield* Effect.flip(refresh(github)))._tag, "ReauthRequired")
      assert.deepStrictEqual((yield* record).history.standing, { _tag: "Refused", at: seconds(0), lost: attempt })
    }),
  )

  it.effect("leaves the login suspect while the provider says neither", () =>
    Effect.gen(function* () {
      const { attempt, provider, record, refresh } = yield* setUpCrash()
      provider.answers(github, fails(Reason.RateLimited({ retryAfter: Option.none() })))
      yield* Effect.flip(refresh(github))
      assert.deepStrictEqual((yield* record).history.standing, { _tag: "Suspect", attempt })
    }),
  )

  it.effect("and whose successor's answer is lost too has it sent no third time at once", () =>
    Effect.gen(function* () {
      const { provider, record, refresh } = yield* setUpCrash()
      provider.answers(github, fails(lost))
      yield* Effect.flip(refresh(github))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(provider.times(), [0])
      assert.deepStrictEqual((yield* record).history.standing, {
        _tag: "Suspect",
        attempt: { at: seconds(0), pid: 1, refreshTokenHash: hashOf("old") },
      })
    }),
  )

  it.effect("and had the answer in a file that was not in place has lost nothing, and nothing is sent", () =>
    Effect.gen(function* () {
      const left: Array<AccountRecord.AccountRecord> = []
      const { access, attempt, provider, record, sent } = yield* setUpCrash(() => ({
        interrupted: () => Effect.succeed(left),
      }))
      const bring = (name: string, by: AccountRecord.Attempt) => {
        const token = { accessToken: Redacted.make(name), expiresAt: seconds(3600) }
        return AccountRecord.withRefreshed(AccountRecord.withSent(sent, by), token, seconds(-59))
      }
      left.push(sent, bring("of another attempt", { ...attempt, pid: 4712 }), bring("recovered", attempt))
      assert.strictEqual(yield* access(github), "recovered")
      assert.deepStrictEqual(provider.redemptions, [])
      assert.strictEqual(accessOf((yield* record).token), "recovered")
    }),
  )
})

describe("what is written down before a refresh", () => {
  it.effect("is who sends which token, and when", () =>
    Effect.gen(function* () {
      const { provider, record, start } = yield* setUp()
      const { refresh } = yield* start(77)
      const gate = yield* makeGate
      provider.answers(github, gate.before(gives("a", 3600)))
      yield* TestClock.adjust("5 seconds")
      const asking = yield* Effect.forkChild(refresh(github))
      yield* gate.asked
      const { history } = yield* record
      assert.deepStrictEqual(history.standing, {
        _tag: "Sent",
        attempt: { at: seconds(5), pid: 77, refreshTokenHash: hashOf("old") },
      })
      assert.strictEqual(history.epoch, 1)
      yield* gate.open
      yield* Fiber.join(asking)
    }),
  )
})
