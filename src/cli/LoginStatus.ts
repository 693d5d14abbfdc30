/**
 * What `status` tells of each login, from the host's own store or, through a socket, from what the host hands out.
 */
import { Context, DateTime, Effect, Layer, Option } from "effect"
import { Broker, type CallError, type TokenError } from "../broker/Broker.ts"
import { AccountLock } from "../broker/AccountLock.ts"
import { Accounts } from "../broker/Accounts.ts"
import type { StoreError } from "../broker/TokenStore.ts"
import * as Account from "../domain/AccountKey.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { type AccountRecord, type Attempt, lostAnswer, type RefreshHistory } from "../domain/AccountRecord.ts"
import * as LoginState from "../domain/LoginState.ts"
import { renewAt } from "../domain/RenewalPlan.ts"
import { snapshot, type TokenSnapshot } from "../domain/Token.ts"

/** How refreshing a login goes; only its host knows. */
export interface RefreshFacts {
  readonly rotation: RefreshHistory["rotation"]
  readonly last: Option.Option<NonNullable<RefreshHistory["last"]>>
  /** When it is renewed next, where `tokenkeep serve` or a program with `Renewal` runs. */
  readonly nextRenewal: Option.Option<DateTime.Utc>
  /** Until when the provider, or the last failures, ask for patience. */
  readonly backOffUntil: Option.Option<DateTime.Utc>
  /** A refresh that was sent, and to which no answer is recorded. */
  readonly unanswered: Option.Option<Attempt>
}

export interface AccountState {
  readonly account: AccountKey
  /** Beyond what the record says: its file is `unreadable`, or the host at the other end of a socket could not refresh. */
  readonly state: LoginState.LoginState | "unreadable" | "not_refreshed"
  /** What is wrong, and what to do. */
  readonly problem: Option.Option<string>
  readonly snapshot: Option.Option<TokenSnapshot>
  /** Only from the host's own store: a socket never tells whether a login can be refreshed. */
  readonly refresh: Option.Option<RefreshFacts>
}

/** Lists logins. */
export class LoginStatus extends Context.Service<
  LoginStatus,
  {
    readonly list: Effect.Effect<ReadonlyArray<AccountState>, StoreError | CallError>
  }
>()("tokenkeep/cli/LoginStatus") {
  /** From the host's store; asks no provider. */
  static readonly layerHost = Layer.effect(
    this,
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const lock = yield* AccountLock
      const describe = Effect.fnUntraced(function* (account: AccountKey) {
        const record = yield* accounts.get(account)
        const circumstances = {
          now: yield* DateTime.now,
          isUnsaved: Option.isSome(yield* accounts.unsaved(account)),
          isRefreshing: yield* lock.isHeld(account, "refresh"),
        }
        return Option.map(record, (record): AccountState => ({
          account,
          ...LoginState.describe(account, record, circumstances),
          snapshot: Option.some(snapshot(record.token)),
          refresh: Option.some(factsOf(account, record, circumstances.now)),
        }))
      })
      return LoginStatus.of({
        list: Effect.gen(function* () {
          const found = yield* Effect.forEach(yield* accounts.list, (account) =>
            Effect.catch(describe(account), (error) => Effect.succeedSome(troubled(account, "unreadable", error))),
          )
          return found.flatMap(Option.toArray)
        }),
      })
    }),
  )

  /** From what the host at the other end of a socket hands out. */
  static readonly layerClient = Layer.effect(
    this,
    Effect.gen(function* () {
      const broker = yield* Broker
      const describe = (account: AccountKey): Effect.Effect<AccountState, CallError> =>
        broker.getToken(account).pipe(
          Effect.map((token): AccountState => ({
            account,
            state: "ok",
            problem: Option.none(),
            snapshot: Option.some(snapshot(token)),
            refresh: Option.none(),
          })),
          Effect.catchTags({
            TokenNotFound: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            RefreshNotAvailable: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            ReauthRequired: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            RefreshFailed: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
            RefreshRateLimited: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
            ProviderNotFound: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
          }),
        )
      return LoginStatus.of({
        list: Effect.gen(function* () {
          const providers = yield* broker.listProviders
          const found = yield* Effect.forEach(providers, (provider) =>
            Effect.flatMap(
              broker.listBuckets(provider),
              Effect.forEach((bucket) => describe(Account.make(provider, bucket))),
            ),
          )
          return found.flat()
        }),
      })
    }),
  )
}

const troubled = (account: AccountKey, state: AccountState["state"], error: StoreError | TokenError): AccountState => ({
  account,
  state,
  problem: Option.some(error.message),
  snapshot: Option.none(),
  refresh: Option.none(),
})

const factsOf = (account: AccountKey, record: AccountRecord, now: DateTime.Utc): RefreshFacts => ({
  rotation: record.history.rotation,
  last: Option.fromUndefinedOr(record.history.last),
  nextRenewal: renewAt(account, record, now),
  backOffUntil: Option.fromUndefinedOr(record.history.backOff).pipe(
    Option.filter(({ from, until }) => DateTime.between(now, { minimum: from, maximum: until })),
    Option.map(({ until }) => until),
  ),
  unanswered: lostAnswer(record.history),
})
