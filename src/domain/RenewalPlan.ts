/**
 * When an account is renewed ahead of time: decided from its record alone, so that every process comes to the same time,
 * and a restart changes nothing.
 */
import { DateTime, Duration, Hash, Option } from "effect"
import type { AccountKey } from "./AccountKey.ts"
import type { AccountRecord } from "./AccountRecord.ts"

/** The least time before expiry, unless half of the token's life is less. */
const shortestLead = Duration.toMillis("5 minutes")

/** The share of the token's life that remains when it is renewed. */
const leadShare = 0.1

/** Accounts that were logged in to together are spread over this time. */
const longestJitter = Duration.toMillis("30 seconds")

/** The first wait after a renewal that failed; it doubles from there. */
const shortestWait = Duration.toMillis("30 seconds")

const longestWait = Duration.toMillis("30 minutes")

/** After so many failures nobody tries ahead of time; the next use does. */
const mostFailures = 10

/** The wait, in milliseconds, after so many failures in a row; none after too many. */
export const waitAfter = (failures: number): Option.Option<number> =>
  failures < mostFailures ? Option.some(Math.min(longestWait, shortestWait * 2 ** (failures - 1))) : Option.none()

/** Of one account always the same, of many accounts evenly spread: 0 to 30 s. */
const jitter = (account: AccountKey): number => Math.abs(Hash.hash(account.toString())) % (longestJitter + 1)

/**
 * When a token is due: `expiry - lead - jitter`, with a lead of 5 minutes or a tenth of its life, whichever is more; never
 * before half of its life. None if it has no expiry.
 */
export const dueAt = (account: AccountKey, { since, token }: AccountRecord): Option.Option<DateTime.Utc> =>
  Option.map(Option.fromUndefinedOr(token.expiresAt), (expiresAt) => {
    const life = Math.max(0, DateTime.toEpochMillis(expiresAt) - DateTime.toEpochMillis(since))
    const lead = Math.min(Math.max(shortestLead, life * leadShare) + jitter(account), life / 2)
    return DateTime.subtract(expiresAt, { milliseconds: Math.floor(lead) })
  })

/**
 * When to renew: when the token is due, or after a failure a while later. None for what cannot be renewed, has no expiry,
 * needs a person or has failed too often.
 *
 * What is said to have been later than `now` was written down while the clock was ahead: then no wait is longer than from
 * now on, and how long the token lives is not known, so it is renewed at once.
 */
export const renewAt = (account: AccountKey, record: AccountRecord, now: DateTime.Utc): Option.Option<DateTime.Utc> => {
  const { backOff, failures, last, standing } = record.history
  const due = dueAt(account, record)
  if (record.token.refreshToken === undefined || standing._tag === "Refused") return Option.none()
  if (Option.isNone(due)) return due
  if (failures === 0 || last === undefined) {
    return DateTime.isGreaterThan(record.since, now) ? Option.some(now) : due
  }
  return Option.map(waitAfter(failures), (wait) => {
    const next = DateTime.add(DateTime.min(last.at, now), { milliseconds: wait })
    const holds = backOff !== undefined && DateTime.isLessThanOrEqualTo(backOff.from, now)
    return holds ? DateTime.max(next, backOff.until) : next
  })
}
