/**
 * Trades refresh tokens for new access tokens: one trade per account at a time, over all processes that share the store,
 * saved before it is answered.
 *
 * A trade belongs to this service, not to whoever asked first: a single-use refresh token may already be spent when the
 * asker goes away, so the answer must still be read and kept.
 */
import {
  Clock,
  Context,
  Data,
  DateTime,
  Duration,
  Effect,
  Equal,
  Layer,
  MutableHashSet,
  Option,
  Redacted,
  Schedule,
} from "effect"
import { Digest } from "effect/crypto"
import type { AccountKey } from "../domain/AccountKey.ts"
import * as AccountRecord from "../domain/AccountRecord.ts"
import type { RefreshFailure } from "../domain/AuthEvent.ts"
import {
  type LockBusy,
  ProviderNotFound,
  ReauthRequired,
  RefreshFailed,
  RefreshNotAvailable,
  RefreshRateLimited,
  type SecretUnavailable,
  TokenNotFound,
} from "../domain/Errors.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { isFresh, type StoredToken } from "../domain/Token.ts"
import { OAuthClient } from "../oauth/OAuthClient.ts"
import { granterOf, type Provider } from "../oauth/Provider.ts"
import { isAnswerLost, type ProviderFailure } from "../oauth/ProviderFailure.ts"
import { ProcessId } from "../system/ProcessId.ts"
import { AccountLock } from "./AccountLock.ts"
import { Accounts } from "./Accounts.ts"
import { Adopted } from "./Adopted.ts"
import { AuthEvents } from "./AuthEvents.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { type ConfigError, Providers } from "./Providers.ts"
import * as RefreshEvents from "./RefreshEvents.ts"
import * as RefreshRefusal from "./RefreshRefusal.ts"
import * as SingleFlight from "./SingleFlight.ts"
import type { StoreError } from "./TokenStore.ts"

/** Why there is no refreshed token. The login itself is kept in every case. */
export type RefreshError =
  | TokenNotFound
  | RefreshNotAvailable
  | ReauthRequired
  | RefreshFailed
  | RefreshRateLimited
  | LockBusy
  | ProviderNotFound
  | SecretUnavailable
  | ConfigError
  | StoreError

/** Whether somebody waits for the token, or there is time. */
export type Urgency = "on demand" | "ahead of time"

/** Refreshes accounts. */
export class Refresher extends Context.Service<
  Refresher,
  {
    /**
     * A refreshed token. Joins the refresh that is under way, if one is. Soon after a refresh there is no other: a token
     * that is still valid is returned as it is.
     */
    readonly refresh: (account: AccountKey, urgency?: Urgency) => Effect.Effect<StoredToken, RefreshError>
  }
>()("tokenkeep/broker/Refresher") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { refreshCooldown, refreshRetryDelay } = yield* BrokerConfig
      const accounts = yield* Accounts
      const lock = yield* AccountLock
      const providers = yield* Providers
      const client = yield* OAuthClient
      const digest = yield* Digest.Digest
      const pid = yield* ProcessId
      const events = yield* AuthEvents
      const adopted = yield* Adopted
      const clock = yield* Clock.Clock

      /** The accounts whose refresh somebody waits for, also if it was begun ahead of time. */
      const awaited = MutableHashSet.empty<AccountKey>()
      const once = yield* SingleFlight.make<AccountKey, StoredToken, RefreshError>()

      const read = (account: AccountKey) => Effect.flatMap(accounts.get(account), (found) => present(account, found))

      /** The token, if there is nothing to do. None if it is to be refreshed. */
      const asItIs = Effect.fnUntraced(function* (account: AccountKey, record: Record) {
        const verdict = AccountRecord.verdict(record, yield* DateTime.now, refreshCooldown)
        switch (verdict._tag) {
          case "UseAsItIs":
            return Option.some(record.token)
          case "TooSoon":
            return yield* RefreshRateLimited.make({ account, retryAfter: verdict.wait })
          case "BackOff":
            return yield* RefreshFailed.make({
              account,
              detail: `The last refresh ${AccountRecord.outcomeInWords[verdict.outcome]}. The login is kept; it is tried again no sooner than in ${Math.ceil(Duration.toSeconds(verdict.wait))} s.`,
              remedy: verdict.outcome === "transient" || verdict.outcome === "lost" ? "wait" : "change",
              retryAfter: verdict.wait,
            })
          case "Refused":
            return yield* ReauthRequired.make({ account })
          case "Refresh":
            return Option.none()
        }
      })

      const hashOf = (refreshToken: Redacted.Redacted) =>
        digest.digestHex(Digest.sha256, new TextEncoder().encode(Redacted.value(refreshToken)))

      /** Writes down how it failed. If that cannot be written, neither can the next attempt be begun. */
      const writeDown = Effect.fnUntraced(function* (
        account: AccountKey,
        before: Record,
        failure: AccountRecord.Failure,
      ) {
        yield* accounts
          .update(account, (current) =>
            Effect.map(unchanged(account, before)(current), (record) =>
              AccountRecord.withFailure(record, before.history, failure),
            ),
          )
          .pipe(
            Effect.catchTag(["StoreUnavailable", "StoreCorrupt", "StoreNewer", "LockBusy"], (error) =>
              Effect.logWarning(error.message),
            ),
          )
        if (failure.outcome === "reauth_required") yield* Effect.logWarning(ReauthRequired.make({ account }).message)
      })

      /**
       * One use of the refresh token. It is written down before it is sent, which also proves that what it brings can be
       * written; from then on nothing interrupts.
       */
      const attempt = Effect.fnUntraced(function* (
        account: AccountKey,
        provider: Provider,
        start: Record,
        refreshToken: Redacted.Redacted,
      ) {
        const failures = start.history.failures + 1
        const before = yield* Effect.flatMap(accounts.get(account), unchanged(account, start))
        const hash = yield* hashOf(refreshToken)
        const wasLost = Option.exists(AccountRecord.lostAnswer(before.history), (use) => use.refreshTokenHash === hash)

        const failed = (sent: Option.Option<AccountRecord.Attempt>) =>
          Effect.fnUntraced(function* (failure: ProviderFailure) {
            const { reason } = failure
            const lost = Option.filter(sent, () => isAnswerLost(reason))
            const wait = RefreshRefusal.waitAfter(reason, failures, refreshRetryDelay)
            const known = { at: yield* DateTime.now, failures, wait }
            yield* writeDown(
              account,
              before,
              Option.isSome(lost)
                ? { ...known, outcome: "lost", attempt: lost.value }
                : { ...known, outcome: RefreshRefusal.outcomes[reason._tag] },
            )
            const again = Option.isSome(lost)
              ? !wasLost
              : MutableHashSet.has(awaited, account) && reason._tag === "Transient"
            return yield* new Failed({
              error: RefreshRefusal.errorFor(account, failure, Option.isSome(lost), wait),
              reason: Option.isSome(lost) ? "lost" : RefreshRefusal.outcomes[reason._tag],
              wait,
              again,
            })
          })

        const grant = yield* Effect.catchTag(client.beginRefresh(provider), "ProviderFailure", failed(Option.none()))
        if (!AccountRecord.isGranter(before, grant.granter)) {
          return yield* Failed.forGood(
            "another_granter",
            RefreshFailed.make({ account, detail: anotherGranter(account), remedy: "change" }),
          )
        }
        return yield* Effect.gen(function* () {
          const use = { at: yield* DateTime.now, pid, refreshTokenHash: hash }
          const sent = yield* accounts.update(account, (current) =>
            Effect.map(unchanged(account, before)(current), (record) => AccountRecord.withSent(record, use)),
          )
          const refreshed = yield* Effect.catchTag(
            grant.redeem(refreshToken),
            "ProviderFailure",
            failed(Option.some(use)),
          )
          const at = yield* DateTime.now
          const kept = yield* accounts.keep(account, sent, (record) =>
            AccountRecord.withRefreshed(record, refreshed, at),
          )
          if (kept._tag === "LoggedOut") return yield* TokenNotFound.make({ account })
          if (kept._tag === "LoggedIn") return yield* new Superseded({ token: kept.record.token })
          if (refreshed.accessToken === undefined && !isFresh(kept.record.token, at)) {
            return yield* new WithoutAccessToken({ record: kept.record })
          }
          return kept.record.token
        }).pipe(Effect.uninterruptible)
      })

      /** What to do alone: what was read before may be old by now. */
      const tradeAlone = Effect.fnUntraced(function* (account: AccountKey, provider: Provider, seen: Record) {
        const record = yield* Effect.flatMap(accounts.recover(account), (found) => present(account, found))
        const { token } = record
        const isOthers = !Equal.equals(token.accessToken, seen.token.accessToken)
        if (isOthers && isFresh(token, yield* DateTime.now)) return token
        const good = yield* asItIs(account, record)
        if (Option.isSome(good)) return good.value
        if (token.refreshToken === undefined) return yield* RefreshNotAvailable.make({ account })
        // A refresh token is shown to nobody but who gave it (RFC 9700 section 4.3, RFC 6749 section 10.4).
        if (!AccountRecord.isGranter(record, granterOf(provider))) {
          return yield* RefreshFailed.make({ account, detail: anotherGranter(account), remedy: "change" })
        }
        const spent = yield* adopted.spentBy(account, record)
        if (Option.isSome(spent)) return yield* RefreshFailed.make({ account, detail: spent.value })
        const attempts = (start: Record, refreshToken: Redacted.Redacted) =>
          Effect.retry(attempt(account, provider, start, refreshToken), {
            schedule: quickRetries,
            while: (failure) => failure._tag === "Failed" && failure.again,
          })
        const without = Failed.forGood("no_access_token", RefreshFailed.make({ account, detail: noAccessToken }))
        return yield* attempts(record, token.refreshToken).pipe(
          // What is new may do at once what the old one could not.
          Effect.catchTag("WithoutAccessToken", ({ record: { token }, record }) =>
            token.refreshToken === undefined ? Effect.fail(without) : attempts(record, token.refreshToken),
          ),
          Effect.catchTag("WithoutAccessToken", () => Effect.fail(without)),
          RefreshEvents.told(events, clock, account),
          Effect.catchTags({
            Failed: ({ error }) => Effect.fail(error),
            Superseded: ({ token }) => ifFresh(account, token),
          }),
        )
      })

      const trade = Effect.fn("Refresher.trade")(function* (account: AccountKey, answer: (token: StoredToken) => void) {
        const seen = yield* read(account)
        const unsaved = yield* accounts.unsaved(account)
        if (Option.isSome(unsaved)) return isFresh(seen.token, yield* DateTime.now) ? seen.token : yield* unsaved.value
        const good = yield* asItIs(account, seen)
        if (Option.isSome(good)) return good.value
        if (seen.token.refreshToken === undefined) return yield* RefreshNotAvailable.make({ account })
        // What could not be written down is not begun.
        yield* accounts.replaceable(account)
        const provider = yield* providers
          .get(account.provider)
          .pipe(Effect.catchTag("ProviderNotConfigured", () => ProviderNotFound.make({ provider: account.provider })))
        return yield* tradeAlone(account, provider, seen).pipe(
          // What is in memory only is not there for others: they would use the token that is spent. So they have to wait.
          Effect.tap((token) => {
            answer(token)
            return accounts.saved(account)
          }),
          lock.withLock(account, "refresh"),
        )
      })

      return Refresher.of({
        refresh: (account, urgency = "on demand") =>
          Effect.suspend(() => {
            if (urgency === "on demand") MutableHashSet.add(awaited, account)
            return once(account, (answer) =>
              Effect.ensuring(
                trade(account, answer),
                Effect.sync(() => MutableHashSet.remove(awaited, account)),
              ),
            )
          }),
      })
    }),
  )
}

type Record = AccountRecord.AccountRecord

/** The provider did not do what it was asked to; that is written down. */
class Failed extends Data.TaggedError("Failed")<{
  readonly error: ReauthRequired | RefreshRateLimited | RefreshFailed
  readonly reason: RefreshFailure
  /** How long nobody tries again. */
  readonly wait: Duration.Duration
  /** Whether another attempt is worth making at once. */
  readonly again: boolean
}> {
  /** What another attempt would not mend. */
  static forGood(reason: RefreshFailure, error: RefreshFailed): Failed {
    return new Failed({ reason, error, wait: Duration.zero, again: false })
  }
}

/** The refresh brought a new refresh token, which is kept, and no access token that is valid. */
class WithoutAccessToken extends Data.TaggedError("WithoutAccessToken")<{ readonly record: Record }> {}

/** Somebody has logged in anew meanwhile. */
class Superseded extends Data.TaggedError("Superseded")<{ readonly token: StoredToken }> {}

/** Two more attempts, after 1 s and 3 s: most trouble of networks and servers is over by then, and somebody waits. */
const quickRetries = Schedule.exponential("1 second", 3).pipe(Schedule.upTo({ times: 2 }))

const present = (account: AccountKey, found: Option.Option<Record>) =>
  Option.match(found, { onNone: () => TokenNotFound.make({ account }), onSome: Effect.succeed })

const noAccessToken =
  "The provider answered with a new refresh token, which is kept, and with no access token; try again later."

const anotherGranter = (account: AccountKey) =>
  `The provider's record or metadata names another server or client than it did at the login, so the refresh token was not sent. Put it back, or log in again with: ${loginCommand(account)}`

/** The record of the login that is being refreshed: anything else there now is newer. */
const unchanged = (account: AccountKey, start: Record) =>
  Effect.fnUntraced(function* (current: Option.Option<Record>) {
    const record = yield* present(account, current)
    return AccountRecord.isSameLogin(record, start) ? record : yield* new Superseded({ token: record.token })
  })

const ifFresh = Effect.fnUntraced(function* (account: AccountKey, token: StoredToken) {
  if (isFresh(token, yield* DateTime.now)) return token
  return yield* RefreshFailed.make({
    account,
    detail: "Somebody logged in to this account meanwhile, and that token has expired already; try again.",
  })
})
