/**
 * How a login is, in one word, and what to say about it.
 */
import { DateTime, Duration, Option } from "effect"
import type { AccountKey } from "./AccountKey.ts"
import { type AccountRecord, type Attempt, lostAnswer, outcomeInWords } from "./AccountRecord.ts"
import { ReauthRequired, RefreshNotAvailable } from "./Errors.ts"
import { loginCommand } from "./LoginCommand.ts"
import { dueAt } from "./RenewalPlan.ts"
import { isFresh } from "./Token.ts"

/**
 * - `ok`: there is a valid access token.
 * - `expiring`: the access token is due for renewal, or past its expiry, and can be renewed.
 * - `suspect`: the answer to a refresh was lost, and the login may be lost with it.
 * - `reauth_required`: a person must log in again.
 * - `unsaved`: the newest token is in a program's memory only.
 */
export type LoginState = "ok" | "expiring" | "suspect" | "reauth_required" | "unsaved"

export interface Described {
  readonly state: LoginState
  /** What happened and what to do, where a person should know. */
  readonly problem: Option.Option<string>
}

/** What is going on at the moment, and not in the record. */
export interface Circumstances {
  readonly now: DateTime.Utc
  /** The newest token could not be written to the store. */
  readonly isUnsaved: boolean
  /** Some process is refreshing the account. */
  readonly isRefreshing: boolean
}

export const describe = (account: AccountKey, record: AccountRecord, circumstances: Circumstances): Described => {
  const { isRefreshing, isUnsaved, now } = circumstances
  const { history, token } = record
  const { standing } = history
  if (isUnsaved) {
    return said("unsaved", "The newest token could not be saved and is in memory only: do not end this program.")
  }
  if (standing._tag === "Sent" && isRefreshing) {
    const { at, pid } = standing.attempt
    if (DateTime.isGreaterThan(now, DateTime.addDuration(at, longestRefresh))) {
      return said(
        "unsaved",
        `A refresh was sent at ${inSeconds(at)} by process ${pid} and is not recorded, while some process is at work on the account: it may be unable to save what came. See its log before you end it, and whether the disk is full.`,
      )
    }
  }
  const lost = Option.filter(lostAnswer(history), () => !isRefreshing)
  if (Option.isSome(lost)) {
    const sent = `A refresh was sent at ${inSeconds(lost.value.at)} by process ${lost.value.pid}, no answer recorded.`
    return said("suspect", `${sent} ${standing._tag === "Refused" ? refusedSince(account) : mayBeLost}`)
  }
  if (standing._tag === "Refused") return said("reauth_required", ReauthRequired.make({ account }).message)
  if (token.refreshToken === undefined && !isFresh(token, now)) {
    return said("reauth_required", RefreshNotAvailable.make({ account }).message)
  }
  const isDue = Option.exists(dueAt(account, record), DateTime.isLessThanOrEqualTo(now))
  return {
    state: isDue ? "expiring" : "ok",
    problem: history.failures === 0 ? Option.none() : lastFailure(history),
  }
}

/** No attempt takes longer, with all that may go before and after it. */
const longestRefresh = Duration.minutes(1)

const lastFailure = ({ last }: AccountRecord["history"]) =>
  Option.map(
    Option.fromUndefinedOr(last),
    ({ at, outcome }) => `The last refresh, at ${inSeconds(at)}, ${outcomeInWords[outcome]}.`,
  )

const said = (state: LoginState, problem: string): Described => ({ state, problem: Option.some(problem) })

const mayBeLost = "The provider may have replaced the refresh token by one that nobody has; the next refresh will tell."

const refusedSince = (account: AccountKey) =>
  `The provider has since refused the refresh token. Log in again with: ${loginCommand(account)}`

const inSeconds = (instant: Attempt["at"]) => DateTime.formatIso(instant).replace(/\.\d+Z$/, "Z")
