import { assert, describe, it } from "@effect/vitest"
import { DateTime, Option, Redacted } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import type * as AccountRecord from "../../src/domain/AccountRecord.ts"
import * as LoginState from "../../src/domain/LoginState.ts"
import { dueAt } from "../../src/domain/RenewalPlan.ts"
import * as Arbitrary from "../support/ArbitraryRecord.ts"
import { attemptAt, recordOf, seconds, tokenOf } from "../support/Records.ts"

const account = Account.make("github", "work")

/** A login whose token came at 1000 s and expires at 4600 s. */
const recordWith = (
  history: Partial<AccountRecord.RefreshHistory> = {},
  token: Partial<AccountRecord.AccountRecord["token"]> = {},
): AccountRecord.AccountRecord => {
  const record = recordOf("one")
  return {
    ...record,
    since: seconds(1000),
    token: { ...tokenOf("one"), expiresAt: seconds(4600), ...token },
    history: { ...record.history, ...history },
  }
}

const stateOf = (record: AccountRecord.AccountRecord, circumstances: Partial<LoginState.Circumstances> = {}) => {
  const now = { now: seconds(2000), isUnsaved: false, isRefreshing: false }
  const { problem, state } = LoginState.describe(account, record, { ...now, ...circumstances })
  return { state, problem: Option.getOrUndefined(problem) }
}

const fine = { state: "ok", problem: undefined } as const
const attempt = attemptAt(1500.25, 4711)
const [sent, suspect] = [{ _tag: "Sent", attempt } as const, { _tag: "Suspect", attempt } as const]
const refused = { _tag: "Refused", at: seconds(1600) } as const

describe("a login whose token is valid", () => {
  it("is ok until it is due", () => {
    assert.deepStrictEqual(stateOf(recordWith()), fine)
    const due = Option.getOrThrow(dueAt(account, recordWith()))
    assert.deepStrictEqual(stateOf(recordWith(), { now: DateTime.subtract(due, { milliseconds: 1 }) }), fine)
    assert.strictEqual(stateOf(recordWith(), { now: due }).state, "expiring")
  })

  it("for ever is ok, with or without a refresh token", () => {
    const { expiresAt: _, refreshToken: __, ...bare } = tokenOf("one")
    const record = { ...recordWith(), token: bare }
    assert.deepStrictEqual(stateOf(record, { now: seconds(10 ** 9) }), fine)
    assert.deepStrictEqual(stateOf({ ...record, token: { ...bare, refreshToken: Redacted.make("r") } }), fine)
  })

  it("is ok also while it is refreshed", () => {
    assert.deepStrictEqual(stateOf(recordWith(), { isRefreshing: true }), fine)
    assert.deepStrictEqual(stateOf(recordWith({ standing: sent }), { isRefreshing: true, now: seconds(1560) }), fine)
  })

  it("but whose last refresh failed says when and how", () => {
    const last = { at: seconds(1999.5), outcome: "endpoint_moved" } as const
    assert.deepStrictEqual(stateOf(recordWith({ failures: 1, last })), {
      state: "ok",
      problem:
        "The last refresh, at 1970-01-01T00:33:19Z, found nothing at the configured address: check the provider's record.",
    })
    assert.deepStrictEqual(stateOf(recordWith({ failures: 0, last: { ...last, outcome: "refreshed" } })), fine)
    assert.deepStrictEqual(stateOf(recordWith({ failures: 1 })), fine)
  })
})

describe("a login whose token has expired", () => {
  const now = seconds(4600)

  it("is expiring if it can be renewed", () => {
    assert.deepStrictEqual(stateOf(recordWith(), { now }), { state: "expiring", problem: undefined })
  })

  it("wants a person if it cannot", () => {
    const { refreshToken: _, ...bare } = recordWith().token
    const record = { ...recordWith(), token: bare }
    assert.strictEqual(stateOf(record, { now: seconds(4599) }).state, "expiring")
    assert.deepStrictEqual(stateOf(record, { now }), {
      state: "reauth_required",
      problem: "The provider gave no refresh token for github:work. Log in again with: tokenkeep login github:work",
    })
  })
})

describe("a login that the provider refused", () => {
  it("wants a person, valid token or not, refreshing or not", () => {
    for (const circumstances of [{}, { now: seconds(9999) }, { isRefreshing: true }]) {
      assert.deepStrictEqual(stateOf(recordWith({ standing: refused }), circumstances), {
        state: "reauth_required",
        problem: "The provider wants a new login for github:work. Log in again with: tokenkeep login github:work",
      })
    }
  })

  it("after an answer was lost says that this is why", () => {
    const { problem, state } = stateOf(recordWith({ standing: { ...refused, lost: attempt } }))
    assert.strictEqual(state, "suspect")
    assert.strictEqual(
      problem,
      "A refresh was sent at 1970-01-01T00:25:00Z by process 4711, no answer recorded. The provider has since refused the refresh token. Log in again with: tokenkeep login github:work",
    )
  })
})

describe("a login whose refresh got no answer", () => {
  for (const standing of [sent, suspect]) {
    it(`(${standing._tag}) is suspect, and says since when, by whom, and what that means`, () => {
      assert.deepStrictEqual(stateOf(recordWith({ standing })), {
        state: "suspect",
        problem:
          "A refresh was sent at 1970-01-01T00:25:00Z by process 4711, no answer recorded. The provider may have replaced the refresh token by one that nobody has; the next refresh will tell.",
      })
    })

    it(`(${standing._tag}) is not while some process is refreshing it`, () => {
      assert.deepStrictEqual(stateOf(recordWith({ standing }), { isRefreshing: true, now: seconds(1560.25) }), fine)
    })
  }
})

describe("a login whose newest token is in memory only", () => {
  it("is unsaved, whatever else there is", () => {
    for (const standing of [sent, suspect, refused]) {
      assert.deepStrictEqual(stateOf(recordWith({ standing }), { isUnsaved: true }), {
        state: "unsaved",
        problem: "The newest token could not be saved and is in memory only: do not end this program.",
      })
    }
  })

  it("of another process shows in a refresh that takes longer than a minute", () => {
    const at = (now: number, standing: AccountRecord.Standing, isRefreshing = true) =>
      stateOf(recordWith({ standing }), { isRefreshing, now: seconds(now) }).state
    assert.strictEqual(at(1560.25, sent), "ok")
    assert.strictEqual(at(1560.251, sent), "unsaved")
    assert.strictEqual(at(1560.251, sent, false), "suspect")
    assert.strictEqual(at(1560.251, suspect), "ok")
    const { problem } = stateOf(recordWith({ standing: sent }), { isRefreshing: true })
    assert.include(problem, "A refresh was sent at 1970-01-01T00:25:00Z by process 4711 and is not recorded")
    assert.include(problem, "See its log before you end it")
  })
})

describe("whatever a login is", () => {
  const circumstances = fc.record({ now: Arbitrary.instant, isUnsaved: fc.boolean(), isRefreshing: fc.boolean() })

  it("no secret is said of it", () => {
    fc.assert(
      fc.property(Arbitrary.record, circumstances, (record, circumstances) => {
        const said = JSON.stringify(LoginState.describe(account, record, circumstances))
        const { accessToken, refreshToken = Redacted.make("-".repeat(9)) } = record.token
        for (const secret of [accessToken, refreshToken]) assert.notInclude(said, Redacted.value(secret))
        assert.notMatch(said, /(0|1){64}/)
      }),
      { numRuns: 1000 },
    )
  })

  it("what cannot be used has a problem, and what has a problem says so in one line", () => {
    fc.assert(
      fc.property(Arbitrary.record, circumstances, (record, circumstances) => {
        const { problem, state } = LoginState.describe(account, record, circumstances)
        if (state !== "ok" && state !== "expiring") assert.isTrue(Option.isSome(problem))
        if (Option.isSome(problem)) assert.match(problem.value, /^[A-Z].*[\w.]$/)
        if (state === "ok") {
          const { expiresAt } = record.token
          assert.isTrue(expiresAt === undefined || DateTime.isGreaterThan(expiresAt, circumstances.now))
        }
      }),
      { numRuns: 1000 },
    )
  })

  it("its name is harmless where the sentence has a command in it", () => {
    const odd = Account.make("a'b", "cd e")
    const { problem } = LoginState.describe(odd, recordWith({ standing: refused }), {
      now: seconds(2000),
      isUnsaved: false,
      isRefreshing: false,
    })
    assert.include(Option.getOrThrow(problem), "tokenkeep login 'a'\\''b:cd e'")
  })
})
