import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Equal, Option, Redacted, Schema } from "effect"
import * as fc from "fast-check"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { attemptAt, inClear, recordInClear, recordOf, seconds, tokenOf } from "../support/Records.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"

const granter = { server: "https://id.example", clientId: "c" }
const [first, second] = [attemptAt(10), attemptAt(20, 7)]
const refreshed = { accessToken: Redacted.make("new"), refreshToken: Redacted.make("new"), expiresAt: seconds(500) }

const withStanding = (standing: AccountRecord.Standing): AccountRecord.AccountRecord => {
  const record = recordOf("one")
  return { ...record, history: { ...record.history, standing } }
}

const failure = (
  outcome: Exclude<AccountRecord.Outcome, "refreshed">,
  wait: Duration.Input = 0,
): AccountRecord.Failure => {
  const known = { at: seconds(30), failures: 1, wait: Duration.fromInputUnsafe(wait) }
  return outcome === "lost" ? { ...known, outcome, attempt: second } : { ...known, outcome }
}

describe("the record of a new login", () => {
  it("has a history that says nothing", () => {
    const record = AccountRecord.fromLogin(tokenOf("one"), seconds(5), granter)
    assert.deepStrictEqual(record.history, { epoch: 0, standing: { _tag: "Good" }, rotation: "unknown", failures: 0 })
    assert.deepStrictEqual(record.since, seconds(5))
    assert.deepStrictEqual(record.grantedBy, granter)
    assert.notProperty(AccountRecord.fromLogin(tokenOf("one"), seconds(5)), "grantedBy")
  })
})

describe("a record, before its refresh token is sent,", () => {
  it("says who sends it, and counts", () => {
    const record = recordOf("one")
    const sent = AccountRecord.withSent(record, first)
    assert.deepStrictEqual(sent.history, { ...record.history, epoch: 1, standing: { _tag: "Sent", attempt: first } })
    assert.strictEqual(AccountRecord.withSent(sent, second).history.epoch, 2)
  })

  it("is otherwise as it was", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.attempt, (record, attempt) => {
        const { history, ...rest } = AccountRecord.withSent(record, attempt)
        const { history: before, ...restBefore } = record
        assert.deepStrictEqual(rest, restBefore)
        assert.deepStrictEqual({ ...history, epoch: 0, standing: 0 }, { ...before, epoch: 0, standing: 0 })
      }),
    )
  })
})

describe("the standing after a refresh that failed", () => {
  const good = { _tag: "Good" } as const
  const sent = { _tag: "Sent", attempt: first } as const
  const suspect = { _tag: "Suspect", attempt: first } as const
  const lost = { _tag: "Suspect", attempt: second } as const
  const refused = { _tag: "Refused", at: seconds(30) } as const

  for (const before of [good, sent, suspect] as const) {
    const unchanged = before._tag === "Good" ? good : suspect
    for (const [outcome, after] of [
      ["not_entitled", unchanged],
      ["rate_limited", unchanged],
      ["transient", unchanged],
      ["endpoint_moved", unchanged],
      ["misconfigured", unchanged],
      ["lost", lost],
      ["reauth_required", before._tag === "Good" ? refused : { ...refused, lost: first }],
    ] as const) {
      it(`(${outcome}) is ${after._tag} where it was ${before._tag}`, () => {
        const record = AccountRecord.withSent(withStanding(before), second)
        const { history } = AccountRecord.withFailure(record, withStanding(before).history, failure(outcome))
        assert.deepStrictEqual(history.standing, after)
        assert.deepStrictEqual(history.last, { at: seconds(30), outcome })
      })
    }
  }
})

describe("a record after a refresh that failed", () => {
  it("has the same token, of the same time, from the same granter, whatever it was", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.record, Arbitrary.failure, (record, { history: before }, failure) => {
        const after = AccountRecord.withFailure(record, before, failure)
        assert.strictEqual(after.token, record.token)
        assert.strictEqual(after.since, record.since)
        assert.strictEqual(after.grantedBy, record.grantedBy)
        assert.strictEqual(after.history.epoch, record.history.epoch)
        assert.strictEqual(after.history.rotation, record.history.rotation)
        assert.strictEqual(after.history.failures, failure.failures)
      }),
    )
  })

  it("has the back-off of this failure, and none of an earlier one", () => {
    const record = recordOf("one")
    const patient = AccountRecord.withFailure(record, record.history, failure("transient", "5 seconds"))
    assert.deepStrictEqual(patient.history.backOff, { from: seconds(30), until: seconds(35) })
    const again = AccountRecord.withFailure(patient, patient.history, failure("reauth_required"))
    assert.notProperty(again.history, "backOff")
  })
})

describe("a record after a refresh", () => {
  it("is good, without failures and back-off, whatever it was", () => {
    fc.assert(
      fc.property(Arbitrary.record, Arbitrary.refreshed, Arbitrary.instant, (record, refreshed, at) => {
        const after = AccountRecord.withRefreshed(record, refreshed, at)
        assert.deepStrictEqual(after.history.standing, { _tag: "Good" })
        assert.strictEqual(after.history.failures, 0)
        assert.notProperty(after.history, "backOff")
        assert.strictEqual(after.history.last?.outcome, "refreshed")
        assert.strictEqual(after.history.epoch, record.history.epoch)
        assert.strictEqual(after.since, at)
        assert.strictEqual(after.grantedBy, record.grantedBy)
        assert.strictEqual(after.token.accessToken, refreshed.accessToken)
        const kept = refreshed.refreshToken === undefined ? record.token.refreshToken : refreshed.refreshToken
        assert.strictEqual(after.token.refreshToken, kept)
      }),
    )
  })

  it("says which use of the refresh token brought it", () => {
    const sent = AccountRecord.withSent(recordOf("one"), first)
    const { history } = AccountRecord.withRefreshed(sent, refreshed, seconds(12))
    assert.deepStrictEqual(history.last, { at: seconds(12), outcome: "refreshed", attempt: first })
    const unsent = AccountRecord.withRefreshed(recordOf("one"), refreshed, seconds(12))
    assert.notProperty(unsent.history.last, "attempt")
  })

  it("remembers that the provider replaces refresh tokens, once it did", () => {
    const { refreshToken: _, ...without } = refreshed
    const none = AccountRecord.withRefreshed(recordOf("one"), without, seconds(1))
    assert.strictEqual(none.history.rotation, "none")
    const observed = AccountRecord.withRefreshed(none, refreshed, seconds(2))
    assert.strictEqual(observed.history.rotation, "observed")
    assert.strictEqual(AccountRecord.withRefreshed(observed, without, seconds(3)).history.rotation, "observed")
    const same = { ...refreshed, refreshToken: Redacted.make("refresh-one") }
    assert.strictEqual(AccountRecord.withRefreshed(recordOf("one"), same, seconds(1)).history.rotation, "none")
  })

  it("lives as long as the one before, where the provider does not say how long", () => {
    const { expiresAt: _, ...unsaid } = refreshed
    const record = { ...recordOf("one"), token: { ...tokenOf("one"), expiresAt: seconds(70) }, since: seconds(10) }
    const after = AccountRecord.withRefreshed(record, unsaid, seconds(100))
    assert.deepStrictEqual(after.token.expiresAt, seconds(160))
    const { expiresAt: __, ...eternal } = tokenOf("one")
    assert.notProperty(
      AccountRecord.withRefreshed({ ...record, token: eternal }, unsaid, seconds(100)).token,
      "expiresAt",
    )
    assert.deepStrictEqual(AccountRecord.withRefreshed(record, refreshed, seconds(100)).token.expiresAt, seconds(500))
  })
})

describe("two records", () => {
  it("are of the same login if they hold the same refresh token", () => {
    const record = recordOf("one")
    const failed = AccountRecord.withFailure(record, record.history, failure("transient"))
    for (const later of [AccountRecord.withSent(record, first), failed, { ...record, token: tokenOf("one") }]) {
      assert.isTrue(AccountRecord.isSameLogin(record, later))
    }
    const { refreshToken: _, ...bare } = tokenOf("one")
    for (const other of [recordOf("two"), { ...record, token: bare }]) {
      assert.isFalse(AccountRecord.isSameLogin(record, other))
    }
  })

  it("are question and answer if the one tells of the use that brought the other", () => {
    const sent = AccountRecord.withSent(recordOf("one"), first)
    const answer = AccountRecord.withRefreshed(sent, refreshed, seconds(12))
    assert.isTrue(AccountRecord.isAnswerTo(sent, answer))
    assert.isTrue(AccountRecord.isAnswerTo(AccountRecord.withSent(recordOf("one"), { ...first }), answer))
    for (const other of [
      { ...first, pid: first.pid + 1 },
      { ...first, at: seconds(11) },
      { ...first, refreshTokenHash: "1".repeat(64) },
    ]) {
      assert.isFalse(AccountRecord.isAnswerTo(AccountRecord.withSent(recordOf("one"), other), answer))
    }
    assert.isFalse(AccountRecord.isAnswerTo(withStanding({ _tag: "Suspect", attempt: first }), answer))
    assert.isFalse(AccountRecord.isAnswerTo(sent, sent))
    assert.isFalse(AccountRecord.isAnswerTo(answer, answer))
    const never = { ...answer, history: { ...answer.history, last: { at: seconds(1), outcome: "refreshed" as const } } }
    assert.isFalse(AccountRecord.isAnswerTo(recordOf("one"), never))
  })
})

describe("a lost answer", () => {
  it("is one that was sent for, is suspect, or was lost before the refusal", () => {
    for (const [standing, lost] of [
      [{ _tag: "Good" }, Option.none()],
      [{ _tag: "Sent", attempt: first }, Option.some(first)],
      [{ _tag: "Suspect", attempt: first }, Option.some(first)],
      [{ _tag: "Refused", at: seconds(1) }, Option.none()],
      [{ _tag: "Refused", at: seconds(1), lost: first }, Option.some(first)],
    ] as const) {
      assert.deepStrictEqual(AccountRecord.lostAnswer(withStanding(standing).history), lost)
    }
  })
})

describe("a record as JSON", () => {
  const codec = Schema.fromJsonString(AccountRecord.AccountRecord)

  it("is read back as it was", () => {
    fc.assert(
      fc.property(Arbitrary.record, (record) => {
        const read = Schema.decodeSync(codec)(Schema.encodeSync(codec)(record))
        assert.deepStrictEqual(recordInClear(read), recordInClear(record))
        assert.isTrue(Equal.equals(read.history, record.history))
      }),
    )
  })

  it("has words for every outcome", () => {
    for (const outcome of AccountRecord.Outcome.literals) assert.isNotEmpty(AccountRecord.outcomeInWords[outcome])
  })

  it("shows no secret when it is printed", () => {
    const printed = JSON.stringify(recordOf("one"))
    const { accessToken, refreshToken = "" } = inClear(tokenOf("one"))
    assert.notInclude(printed, accessToken)
    assert.notInclude(printed, refreshToken)
    assert.isTrue(DateTime.isDateTime(recordOf("one").since))
  })
})
