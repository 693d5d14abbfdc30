/**
 * Records of every kind, also such as never come about.
 */
import { DateTime, Duration, Redacted } from "effect"
import * as fc from "fast-check"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { RefreshedToken, StoredToken } from "../../src/domain/Token.ts"

/** The times are few and close, so that they meet. */
export const instant = fc.integer({ min: 0, max: 4000 }).map((n) => DateTime.makeUnsafe(1_800_000_000_000 + n * 500))

const secret = fc.stringMatching(/^[a-z]{8}$/).map((text) => Redacted.make(text))

const maybe = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })

export const attempt: fc.Arbitrary<AccountRecord.Attempt> = fc.record({
  at: instant,
  pid: fc.nat(3),
  refreshTokenHash: fc.constantFrom("0".repeat(64), "1".repeat(64)),
})

const token: fc.Arbitrary<StoredToken> = fc
  .record({
    accessToken: secret,
    refreshToken: maybe(secret),
    expiresAt: maybe(instant),
    scope: maybe(fc.constant("read")),
    tokenType: fc.constant("bearer"),
    extras: fc.constant(Redacted.make({ account_id: "1" })),
  })
  .map(({ expiresAt, refreshToken, scope, ...rest }) => ({
    ...rest,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(scope !== undefined && { scope }),
  }))

export const refreshed: fc.Arbitrary<RefreshedToken> = fc.record({
  accessToken: secret,
  refreshToken: maybe(secret),
  expiresAt: maybe(instant),
})

const standing: fc.Arbitrary<AccountRecord.Standing> = fc.oneof(
  fc.constant({ _tag: "Good" } as const),
  attempt.map((attempt) => ({ _tag: "Sent", attempt }) as const),
  attempt.map((attempt) => ({ _tag: "Suspect", attempt }) as const),
  instant.map((at) => ({ _tag: "Refused", at }) as const),
  fc.tuple(instant, attempt).map(([at, lost]) => ({ _tag: "Refused", at, lost }) as const),
)

const outcome = fc.constantFrom(...AccountRecord.Outcome.literals)

const last = fc
  .record({ at: instant, outcome, attempt: maybe(attempt) })
  .map(({ attempt, ...rest }) => ({ ...rest, ...(attempt !== undefined && { attempt }) }))

const backOff = fc.record({ from: instant, until: instant })

const history: fc.Arbitrary<AccountRecord.RefreshHistory> = fc
  .record({
    epoch: fc.nat(),
    standing,
    rotation: fc.constantFrom("observed", "none", "unknown"),
    failures: fc.nat(20),
    last: maybe(last),
    backOff: maybe(backOff),
  })
  .map(({ backOff, last, ...rest }) => ({
    ...rest,
    ...(last !== undefined && { last }),
    ...(backOff !== undefined && { backOff }),
  }))

export const record: fc.Arbitrary<AccountRecord.AccountRecord> = fc
  .record({
    token,
    since: instant,
    grantedBy: maybe(fc.constant({ server: "https://id.example", clientId: "c" })),
    history,
  })
  .map(({ grantedBy, ...rest }) => ({ ...rest, ...(grantedBy !== undefined && { grantedBy }) }))

const failing = fc.record({ at: instant, failures: fc.nat(20), wait: fc.nat(3_600_000).map(Duration.millis) })

export const failure: fc.Arbitrary<AccountRecord.Failure> = fc.oneof(
  fc.tuple(failing, attempt).map(([known, attempt]) => ({ ...known, outcome: "lost", attempt }) as const),
  fc
    .tuple(
      failing,
      fc.constantFrom(
        "reauth_required",
        "not_entitled",
        "rate_limited",
        "transient",
        "endpoint_moved",
        "misconfigured",
      ),
    )
    .map(([known, outcome]) => ({ ...known, outcome }) as const),
)
