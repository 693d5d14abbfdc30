/**
 * Whether an account may be refreshed now.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration } from "effect"
import * as fc from "fast-check"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"
import { attemptAt, recordOf, seconds, tokenOf } from "../support/Records.ts"

const longest = Duration.seconds(30)

const recordWith = (history: Partial<AccountRecord.RefreshHistory>, expiresAt?: DateTime.Utc) => {
  const { expiresAt: _, ...eternal } = tokenOf("one")
  const record = recordOf("one")
  return {
    ...record,
    token: { ...eternal, ...(expiresAt !== undefined && { expiresAt }) },
    history: { ...record.history, ...history },
  }
}

const verdictAt = (record: AccountRecord.AccountRecord, now: number) =>
  AccountRecord.verdict(record, seconds(now), longest)

/** Refreshed at 100 s, with a token that expires then, or never. */
const refreshedAt100 = (expiresAt?: number) =>
  recordWith(
    { last: { at: seconds(100), outcome: "refreshed" } },
    expiresAt === undefined ? undefined : seconds(expiresAt),
  )

const tooSoon = (wait: number) => ({ _tag: "TooSoon", wait: Duration.seconds(wait) }) as const
const refresh = { _tag: "Refresh" } as const
const asItIs = { _tag: "UseAsItIs" } as const

describe("a login", () => {
  it("that was never refreshed may be", () => {
    assert.deepStrictEqual(verdictAt(recordOf("one"), 0), { _tag: "Refresh" })
  })

  for (const standing of [
    { _tag: "Good" },
    { _tag: "Sent", attempt: attemptAt(1) },
    { _tag: "Suspect", attempt: attemptAt(1) },
  ] as const) {
    it(`whose standing is ${standing._tag} may be`, () => {
      assert.deepStrictEqual(verdictAt(recordWith({ standing }), 0), { _tag: "Refresh" })
    })
  }

  it("that was refused may not be, at any time, whatever else there is", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.instant, (record, now) => {
        const standing = { _tag: "Refused", at: seconds(1) } as const
        const refused = { ...record, history: { ...record.history, standing } }
        assert.deepStrictEqual(AccountRecord.verdict(refused, now, longest), { _tag: "Refused" })
      }),
    )
  })
})

describe("a login that was refreshed a moment ago", () => {
  for (const [what, expiresAt, table] of [
    [
      "never expires",
      undefined,
      [
        [99, refresh],
        [100, asItIs],
        [129, asItIs],
        [130, refresh],
      ],
    ],
    [
      "lives for an hour",
      3700,
      [
        [99, refresh],
        [100, asItIs],
        [129, asItIs],
        [130, refresh],
      ],
    ],
    [
      "lives for 60 s",
      160,
      [
        [129, asItIs],
        [130, refresh],
      ],
    ],
    [
      "lives for 40 s",
      140,
      [
        [119, asItIs],
        [120, refresh],
      ],
    ],
    [
      "lives for 2 s",
      102,
      [
        [100.9, asItIs],
        [101, refresh],
      ],
    ],
    [
      "lives for half a second",
      100.5,
      [
        [100.4, asItIs],
        [100.499, asItIs],
        [100.5, refresh],
      ],
    ],
    [
      "lives for a quarter of a second",
      100.25,
      [
        [100.249, asItIs],
        [100.25, tooSoon(0.25)],
        [100.499, tooSoon(0.001)],
        [100.5, refresh],
      ],
    ],
    [
      "was expired at birth",
      100,
      [
        [100, tooSoon(0.5)],
        [100.5, refresh],
      ],
    ],
    [
      "was expired before",
      0,
      [
        [100, tooSoon(0.5)],
        [100.25, tooSoon(0.25)],
        [100.5, refresh],
      ],
    ],
  ] as const) {
    it(`and whose token ${what} waits for half of its life, for half a second to 30 s`, () => {
      for (const [now, verdict] of table)
        assert.deepStrictEqual(verdictAt(refreshedAt100(expiresAt), now), verdict, `${now}`)
    })
  }

  it("waits no longer than the cooldown that is set, which may be none", () => {
    const at = (cooldown: Duration.Input, now: number) =>
      AccountRecord.verdict(refreshedAt100(3700), seconds(now), Duration.fromInputUnsafe(cooldown))._tag
    assert.strictEqual(at("10 minutes", 699), "UseAsItIs")
    assert.strictEqual(at("10 minutes", 700), "Refresh")
    assert.strictEqual(at("1 millis", 100.001), "Refresh")
    assert.strictEqual(at(0, 100), "Refresh")
  })
})

describe("a login whose last refresh failed", () => {
  const failed = (outcome: AccountRecord.Outcome) =>
    recordWith({
      failures: 1,
      last: { at: seconds(100), outcome },
      backOff: { from: seconds(100), until: seconds(140) },
    })

  for (const outcome of ["transient", "lost", "not_entitled", "endpoint_moved", "misconfigured"] as const) {
    it(`(${outcome}) waits for as long as its back-off, and says how it failed`, () => {
      const backOff = (wait: number) => ({ _tag: "BackOff", wait: Duration.seconds(wait), outcome }) as const
      assert.deepStrictEqual(verdictAt(failed(outcome), 100), backOff(40))
      assert.deepStrictEqual(verdictAt(failed(outcome), 139), backOff(1))
      assert.deepStrictEqual(verdictAt(failed(outcome), 140), refresh)
      assert.deepStrictEqual(verdictAt(failed(outcome), 99), refresh)
    })
  }

  it("because the provider put it off waits as if it were too soon", () => {
    assert.deepStrictEqual(verdictAt(failed("rate_limited"), 100), tooSoon(40))
    assert.deepStrictEqual(verdictAt(failed("rate_limited"), 140), refresh)
    assert.deepStrictEqual(verdictAt(failed("rate_limited"), 99), refresh)
  })
})

describe("whatever the record and however the clock jumps", () => {
  const span = ({ history }: AccountRecord.AccountRecord) =>
    history.backOff === undefined
      ? 0
      : Duration.toMillis(DateTime.distance(history.backOff.from, history.backOff.until))

  it("a wait is some time, and never longer than the cooldown or the back-off from end to end", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.instant, fc.nat(60_000), (record, now, cooldown) => {
        const verdict = AccountRecord.verdict(record, now, Duration.millis(cooldown))
        if (!("wait" in verdict)) return
        const wait = Duration.toMillis(verdict.wait)
        assert.isAbove(wait, 0)
        assert.isAtMost(wait, Math.max(cooldown, span(record)))
        if (verdict._tag === "BackOff") assert.isAtMost(wait, span(record))
      }),
      { numRuns: 2000 },
    )
  })

  it("who waits for as long as it says may refresh then, or is told of another reason", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.instant, (record, now) => {
        const verdict = AccountRecord.verdict(record, now, longest)
        if (!("wait" in verdict)) return
        const next = AccountRecord.verdict(record, DateTime.addDuration(now, verdict.wait), longest)
        const isEnd = next._tag === "Refresh" || record.history.last?.outcome === "refreshed"
        assert.isTrue(isEnd, JSON.stringify([verdict, next]))
      }),
      { numRuns: 2000 },
    )
  })

  it("a token that is to be used as it is has not expired", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.instant, (record, now) => {
        if (AccountRecord.verdict(record, now, longest)._tag !== "UseAsItIs") return
        const { expiresAt } = record.token
        assert.isTrue(expiresAt === undefined || DateTime.isGreaterThan(expiresAt, now))
      }),
      { numRuns: 2000 },
    )
  })
})
