/**
 * What the host keeps of one login: its token, and how refreshing it has gone. Every process that shares the store reads
 * the history, so none repeats what another has just learnt.
 *
 * All times are wall-clock times. Each wait has a beginning as well as an end, and holds only in between: a clock that is
 * set back must not lengthen it.
 */
import { DateTime, Duration, Equal, Option, Schema } from "effect"
import { isFresh, type RefreshedToken, mergeRefreshed, StoredToken } from "./Token.ts"
import { refreshOutcomes, rotations } from "./RecordWords.ts"

const Instant = Schema.DateTimeUtcFromString

/** One use of a refresh token: when, by which process, and the SHA-256 of the token in hexadecimal. */
export const Attempt = Schema.Struct({ at: Instant, pid: Schema.Int, refreshTokenHash: Schema.String })
export type Attempt = typeof Attempt.Type

/** Whether the refresh token can be relied on. */
export const Standing = Schema.Union([
  /** Nothing speaks against it. */
  Schema.TaggedStruct("Good", {}),
  /** It was sent, and no answer is recorded: the sender is waiting for one, or died. */
  Schema.TaggedStruct("Sent", { attempt: Attempt }),
  /** It was sent and the answer was lost: the provider may have replaced it by one that nobody has. */
  Schema.TaggedStruct("Suspect", { attempt: Attempt }),
  /** The provider wants a new login. `lost`, if an answer was lost before, which is then the likely reason. */
  Schema.TaggedStruct("Refused", { at: Instant, lost: Schema.optionalKey(Attempt) }),
])
export type Standing = typeof Standing.Type

/** How a refresh ended. */
export const Outcome = Schema.Literals(refreshOutcomes)
export type Outcome = typeof Outcome.Type

/** An outcome as the end of a sentence that begins "the last refresh …". */
export const outcomeInWords: { readonly [outcome in Outcome]: string } = {
  refreshed: "worked",
  reauth_required: "was refused: the provider wants a new login",
  not_entitled: "was refused: check client id, secret and scopes in the provider's record",
  rate_limited: "was put off by the provider",
  transient: "did not work: the provider could not be reached, or had trouble of its own",
  lost: "got no answer that can be understood",
  endpoint_moved: "found nothing at the configured address: check the provider's record",
  misconfigured: "could not be sent: the provider's record cannot be used",
}

/** How refreshing one login has gone. */
export const RefreshHistory = Schema.Struct({
  /** How often a refresh token of this login was sent. */
  epoch: Schema.Int,
  standing: Standing,
  /** Whether the provider replaces refresh tokens when they are used. */
  rotation: Schema.Literals(rotations),
  /** Refreshes that failed since the last one that did not. */
  failures: Schema.Int,
  last: Schema.optionalKey(Schema.Struct({ at: Instant, outcome: Outcome, attempt: Schema.optionalKey(Attempt) })),
  /** When nobody may refresh, because the provider said so or the last refreshes failed. */
  backOff: Schema.optionalKey(Schema.Struct({ from: Instant, until: Instant })),
})
export type RefreshHistory = typeof RefreshHistory.Type

/** The history of a login that was never refreshed. */
export const unused: RefreshHistory = { epoch: 0, standing: { _tag: "Good" }, rotation: "unknown", failures: 0 }

/** Who gave a token, by the address in its provider's record, and to which client. */
export const Granter = Schema.Struct({
  server: Schema.String,
  clientId: Schema.String,
  /** Where the token came from, as the metadata had it at the time. */
  tokenEndpoint: Schema.optionalKey(Schema.String),
})
export type Granter = typeof Granter.Type

/** What the host keeps of one login. */
export const AccountRecord = Schema.Struct({
  token: StoredToken,
  /** When the access token came. */
  since: Instant,
  /** Nobody else is shown the refresh token. Unknown of a token that did not come from a login here. */
  grantedBy: Schema.optionalKey(Granter),
  history: RefreshHistory,
})
export type AccountRecord = typeof AccountRecord.Type

/** The record of a new login. */
export const fromLogin = (token: StoredToken, since: DateTime.Utc, grantedBy?: Granter): AccountRecord => ({
  token,
  since,
  ...(grantedBy !== undefined && { grantedBy }),
  history: unused,
})

/** Whether that is who gave the record's token, as far as both are known; who is not may not be shown it. */
export const isGranter = ({ grantedBy }: AccountRecord, granter: Granter): boolean =>
  grantedBy === undefined ||
  (grantedBy.server === granter.server &&
    grantedBy.clientId === granter.clientId &&
    (grantedBy.tokenEndpoint === undefined ||
      granter.tokenEndpoint === undefined ||
      grantedBy.tokenEndpoint === granter.tokenEndpoint))

/** Whether both hold the same refresh token: then one is a later state of the other. */
export const isSameLogin = (one: AccountRecord, other: AccountRecord): boolean =>
  Equal.equals(one.token.refreshToken, other.token.refreshToken)

/** Whether `written` is what the refresh that `sent` tells of has brought. */
export const isAnswerTo = (sent: AccountRecord, written: AccountRecord): boolean =>
  sent.history.standing._tag === "Sent" &&
  written.history.last?.outcome === "refreshed" &&
  Equal.equals(written.history.last.attempt, sent.history.standing.attempt)

/** The answer that was lost, if one was. One that the sender died over is as lost as one that the network dropped. */
export const lostAnswer = ({ standing }: RefreshHistory): Option.Option<Attempt> =>
  standing._tag === "Good"
    ? Option.none()
    : Option.fromUndefinedOr(standing._tag === "Refused" ? standing.lost : standing.attempt)

/** The record before the refresh token is sent. */
export const withSent = ({ history, ...rest }: AccountRecord, attempt: Attempt): AccountRecord => ({
  ...rest,
  history: { ...history, epoch: history.epoch + 1, standing: { _tag: "Sent", attempt } },
})

/** The record after a refresh. */
export const withRefreshed = (
  { history, since, token, ...rest }: AccountRecord,
  refreshed: RefreshedToken,
  at: DateTime.Utc,
): AccountRecord => {
  const { standing } = history
  const merged = mergeRefreshed(token, {
    ...refreshed,
    expiresAt: refreshed.expiresAt ?? expiryAsBefore(token, since, at),
  })
  const rotated = !Equal.equals(merged.refreshToken, token.refreshToken)
  return {
    ...rest,
    token: merged,
    since: refreshed.accessToken === undefined ? since : at,
    history: {
      epoch: history.epoch,
      standing: { _tag: "Good" },
      rotation: rotated || history.rotation === "observed" ? "observed" : "none",
      failures: 0,
      last: { at, outcome: "refreshed", ...(standing._tag === "Sent" && { attempt: standing.attempt }) },
    },
  }
}

/** A provider that names no lifetime this time has not made its tokens eternal: the one before is believed again. */
const expiryAsBefore = ({ expiresAt }: StoredToken, since: DateTime.Utc, at: DateTime.Utc) =>
  expiresAt === undefined ? undefined : DateTime.addDuration(at, DateTime.distance(since, expiresAt))

/** What is known after a refresh that failed. */
export type Failure = {
  readonly at: DateTime.Utc
  /** How many refreshes in a row have failed with this one; quick retries count as one. */
  readonly failures: number
  /** How long nobody may refresh. */
  readonly wait: Duration.Duration
} & (
  | { readonly outcome: "lost"; readonly attempt: Attempt }
  | { readonly outcome: Exclude<Outcome, "refreshed" | "lost"> }
)

/** The record after a refresh that failed. The token stays, whatever the reason; `before` is the history before it. */
export const withFailure = (record: AccountRecord, before: RefreshHistory, failure: Failure): AccountRecord => ({
  ...record,
  history: {
    epoch: record.history.epoch,
    rotation: record.history.rotation,
    standing: standingAfter(before, failure),
    failures: failure.failures,
    last: { at: failure.at, outcome: failure.outcome },
    ...(Duration.isGreaterThan(failure.wait, Duration.zero) && {
      backOff: { from: failure.at, until: DateTime.addDuration(failure.at, failure.wait) },
    }),
  },
})

const standingAfter = (before: RefreshHistory, failure: Failure): Standing => {
  if (failure.outcome === "lost") return { _tag: "Suspect", attempt: failure.attempt }
  const lost = lostAnswer(before)
  if (failure.outcome === "reauth_required") {
    return { _tag: "Refused", at: failure.at, ...(Option.isSome(lost) && { lost: lost.value }) }
  }
  return Option.match(lost, { onNone: () => ({ _tag: "Good" }), onSome: (attempt) => ({ _tag: "Suspect", attempt }) })
}

/** Shorter than this no cooldown is, or a provider that calls its tokens expired at birth would be asked without end. */
const shortestCooldown = Duration.millis(500)

/** How long after a refresh there is no other: `longest`, or half the token's life where that is shorter. */
const cooldown = (expiresAt: DateTime.Utc | undefined, since: DateTime.Utc, longest: Duration.Duration) => {
  if (expiresAt === undefined) return longest
  const half = Duration.times(DateTime.distance(since, expiresAt), 0.5)
  return Duration.min(longest, Duration.max(shortestCooldown, half))
}

const remaining = (from: DateTime.Utc, until: DateTime.Utc, now: DateTime.Utc): Duration.Duration =>
  DateTime.isLessThanOrEqualTo(from, now) && DateTime.isLessThan(now, until)
    ? DateTime.distance(now, until)
    : Duration.zero

/** Whether an account may be refreshed now. */
export type Verdict =
  | { readonly _tag: "Refresh" }
  /** It was refreshed a moment ago, and what that brought is valid. */
  | { readonly _tag: "UseAsItIs" }
  /** It was refreshed a moment ago, or the provider asks for patience. */
  | { readonly _tag: "TooSoon"; readonly wait: Duration.Duration }
  /** The last refresh failed. */
  | { readonly _tag: "BackOff"; readonly wait: Duration.Duration; readonly outcome: Outcome }
  /** The provider has said that a person is needed. */
  | { readonly _tag: "Refused" }

/** Whether the account may be refreshed at `now`, when refreshes are at least `longestCooldown` apart. */
export const verdict = (
  { history, token }: AccountRecord,
  now: DateTime.Utc,
  longestCooldown: Duration.Duration,
): Verdict => {
  const { backOff, last, standing } = history
  if (standing._tag === "Refused") return { _tag: "Refused" }
  if (last?.outcome === "refreshed") {
    const until = DateTime.addDuration(last.at, cooldown(token.expiresAt, last.at, longestCooldown))
    const wait = remaining(last.at, until, now)
    if (Duration.isGreaterThan(wait, Duration.zero)) {
      return isFresh(token, now) ? { _tag: "UseAsItIs" } : { _tag: "TooSoon", wait }
    }
  }
  if (backOff !== undefined && last !== undefined) {
    const wait = remaining(backOff.from, backOff.until, now)
    if (Duration.isGreaterThan(wait, Duration.zero)) {
      return last.outcome === "rate_limited"
        ? { _tag: "TooSoon", wait }
        : { _tag: "BackOff", wait, outcome: last.outcome }
    }
  }
  return { _tag: "Refresh" }
}
