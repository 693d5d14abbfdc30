import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Option } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import type * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { dueAt, renewAt, waitAfter } from "../../src/domain/RenewalPlan.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"
import { attemptAt, recordOf, seconds, tokenOf } from "../support/Records.ts"

const github = Account.make("github")

const since = 1_800_000_000

/** A login whose token came then, and lives so many seconds. */
const living = (life: number, history: Partial<AccountRecord.RefreshHistory> = {}): AccountRecord.AccountRecord => {
  const record = recordOf("one")
  const token = { ...tokenOf("one"), expiresAt: seconds(since + life) }
  return { ...record, token, since: seconds(since), history: { ...record.history, ...history } }
}

const inMillis = (instant: Option.Option<DateTime.Utc>) =>
  Option.getOrThrow(Option.map(instant, DateTime.toEpochMillis))

/** How many milliseconds after it came a token of this life is due. */
const dueAfter = (life: number, account = github) => inMillis(dueAt(account, living(life))) - since * 1000

/** When to renew, decided long after all that is written down. */
const renew = (record: AccountRecord.AccountRecord, now = seconds(2 * since)) => renewAt(github, record, now)

const minute = 60
const hour = 3600
const day = 86_400

/** How much earlier than it need be the account has its turn, in milliseconds. */
const jitterOf = (account: Account.AccountKey) => 54 * minute * 1000 - dueAfter(hour, account)

describe("a token that lives for", () => {
  for (const [life, seconds, words] of [
    [45, 22.5, "45 s is due at half of that"],
    [10 * minute, 5 * minute, "10 min is due 5 min before its end"],
    [0.001, 0.001, "a millisecond is due at its end"],
    [0, 0, "no time is due when it comes"],
    [-60, -60, "no time since a while is due since then"],
  ] as const) {
    it(words, () => assert.strictEqual(dueAfter(life), seconds * 1000))
  }

  for (const [life, seconds, words] of [
    [11 * minute, 6 * minute, "11 min is due 5 min before its end"],
    [50 * minute, 45 * minute, "50 min is due 5 min before its end"],
    [hour, 54 * minute, "1 h is due 6 min before its end"],
    [60 * day, 54 * day, "60 days is due 6 days before its end"],
  ] as const) {
    it(`${words}, and up to 30 s earlier`, () => {
      assert.strictEqual(dueAfter(life), seconds * 1000 - jitterOf(github))
    })
  }

  it("whatever time is never due before half of it, nor after its end", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * day * 1000 }), fc.string({ minLength: 1 }), (millis, bucket) => {
        const due = dueAfter(
          millis / 1000,
          Account.AccountKey.make({ provider: "p", bucket: bucket.replaceAll(/\p{C}/gu, "x") }),
        )
        assert.isAtLeast(due, millis / 2)
        assert.isAtMost(due, millis)
      }),
    )
  })

  it("ever is never due", () => {
    const { expiresAt: _, ...eternal } = tokenOf("one")
    const record = { ...recordOf("one"), token: eternal }
    assert.isTrue(Option.isNone(dueAt(github, record)))
    assert.isTrue(Option.isNone(renew(record)))
    const failed = { failures: 1, last: { at: seconds(since), outcome: "transient" as const } }
    assert.isTrue(Option.isNone(renew({ ...record, history: { ...record.history, ...failed } })))
  })
})

describe("the turns of many accounts", () => {
  const count = 10_000
  const jitters = Array.from({ length: count }, (_, i) => jitterOf(Account.make(`provider${i % 7}`, `bucket${i}`)))

  it("are spread evenly over 30 s", () => {
    const slots = Array.from({ length: 10 }, () => 0)
    for (const jitter of jitters) {
      assert.isTrue(jitter >= 0 && jitter <= 30_000, String(jitter))
      const slot = Math.min(9, Math.floor(jitter / 3000))
      slots[slot] = (slots[slot] ?? 0) + 1
    }
    for (const found of slots) assert.approximately(found, count / 10, count / 50, slots.join())
    assert.isAbove(new Set(jitters).size, count / 2)
  })

  it("are each time the same", () => {
    for (let i = 0; i < 100; i++)
      assert.strictEqual(jitterOf(Account.make(`provider${i % 7}`, `bucket${i}`)), jitters[i])
  })
})

describe("a login", () => {
  it("is renewed when its token is due", () => {
    assert.deepStrictEqual(renew(living(hour)), dueAt(github, living(hour)))
    for (const standing of [
      { _tag: "Sent", attempt: attemptAt(1) },
      { _tag: "Suspect", attempt: attemptAt(1) },
    ] as const) {
      assert.deepStrictEqual(renew(living(hour, { standing })), dueAt(github, living(hour)))
    }
  })

  it("without a refresh token is not renewed, and neither is one that was refused", () => {
    const { refreshToken: _, ...bare } = living(hour).token
    assert.isTrue(Option.isNone(renew({ ...living(hour), token: bare })))
    const refused = living(hour, { standing: { _tag: "Refused", at: seconds(since) } })
    assert.isTrue(Option.isNone(renew(refused)))
  })

  it("whose renewal failed is tried again after 30 s, 60 s … 30 min, ten times in all", () => {
    const waits = [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    const last = { at: seconds(since + 3000), outcome: "transient" } as const
    for (const [i, wait] of waits.entries()) {
      assert.deepStrictEqual(renew(living(hour, { failures: i + 1, last })), Option.some(seconds(since + 3000 + wait)))
      assert.deepStrictEqual(waitAfter(i + 1), Option.some(wait * 1000))
    }
    for (const failures of [10, 11, 1000]) {
      assert.isTrue(Option.isNone(renew(living(hour, { failures, last }))))
      assert.isTrue(Option.isNone(waitAfter(failures)))
    }
  })

  it("is not tried again while nobody may refresh it", () => {
    const last = { at: seconds(since), outcome: "rate_limited" } as const
    const backOff = (until: number) => ({ from: seconds(since), until: seconds(since + until) })
    for (const [until, wait] of [
      [29, 30],
      [31, 31],
      [3600, 3600],
    ] as const) {
      const record = living(hour, { failures: 1, last, backOff: backOff(until) })
      assert.deepStrictEqual(renew(record), Option.some(seconds(since + wait)))
    }
  })

  it("that was written down while the clock was ahead waits from now on, and not for a time that will not come", () => {
    const now = since - hour
    const failed = { failures: 3, last: { at: seconds(since), outcome: "transient" as const } }
    const backOff = { from: seconds(since), until: seconds(since + 3000) }
    assert.deepStrictEqual(renew(living(hour, failed), seconds(now)), Option.some(seconds(now + 120)))
    assert.deepStrictEqual(renew(living(hour, { ...failed, backOff }), seconds(now)), Option.some(seconds(now + 120)))
    assert.deepStrictEqual(renew(living(hour), seconds(now)), Option.some(seconds(now)))
    assert.deepStrictEqual(renew(living(hour), seconds(since)), dueAt(github, living(hour)))
    const sinceNow = { ...backOff, from: seconds(now) }
    const put = living(hour, { ...failed, backOff: sinceNow })
    assert.deepStrictEqual(renew(put, seconds(now)), Option.some(seconds(since + 3000)))
  })

  it("of any kind is renewed when it can be, and never before half of its token's life if nothing failed", () => {
    fc.assert(
      fc.property(Arbitrary.record, (record) => {
        const { history, since, token } = record
        const at = renew(record)
        const can =
          token.refreshToken !== undefined &&
          token.expiresAt !== undefined &&
          history.standing._tag !== "Refused" &&
          (history.failures < 10 || history.last === undefined)
        assert.strictEqual(Option.isSome(at), can)
        if (Option.isNone(at) || token.expiresAt === undefined || history.failures > 0) return
        const life = Math.max(0, Duration.toMillis(DateTime.distance(since, token.expiresAt)))
        assert.isAtLeast(inMillis(at), DateTime.toEpochMillis(token.expiresAt) - life / 2)
      }),
      { numRuns: 1000 },
    )
  })
})
