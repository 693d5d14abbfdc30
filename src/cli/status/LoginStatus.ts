/**
 * What `status` tells of each login, from the host's own store or, through a socket, from what the host hands out.
 */
import { Context, Data, DateTime, Effect, Layer, Option } from "effect"
import { Broker, type CallError, type TokenError } from "../../broker/Broker.ts"
import { AccountLock } from "../../broker/AccountLock.ts"
import { Accounts } from "../../broker/Accounts.ts"
import { Providers } from "../../broker/Providers.ts"
import type { StoreError } from "../../broker/TokenStore.ts"
import * as Account from "../../domain/AccountKey.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { type AccountRecord, type Attempt, lostAnswer, type RefreshHistory } from "../../domain/AccountRecord.ts"
import { loginCommand, showCommand } from "../../domain/LoginCommand.ts"
import * as LoginState from "../../domain/LoginState.ts"
import { renewAt } from "../../domain/RenewalPlan.ts"
import { printable } from "../../domain/RemoteText.ts"
import { snapshot, toPublic, type TokenSnapshot } from "../../domain/Token.ts"
import type { Snapshot } from "../../oauth/Provider.ts"
import { moveAwayCommand, typeable } from "../NextCommand.ts"

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
  /**
   * Beyond what the record says: its file is `unreadable`, or of a `newer` version and cannot be refreshed here; or the
   * host at the other end of a socket could not refresh.
   */
  readonly state: LoginState.LoginState | "unreadable" | "newer" | "not_refreshed"
  /** What is wrong, and what to do. */
  readonly problem: Option.Option<string>
  readonly snapshot: Option.Option<TokenSnapshot>
  /** Only from the host's own store: a socket never tells whether a login can be refreshed. */
  readonly refresh: Option.Option<RefreshFacts>
  /** What the provider's definition says of it. Only from the host's own store. */
  readonly details: Snapshot
  /** Whether a person has to do something, or tokens will stop, or have stopped. */
  readonly needsAttention: boolean
  /** What to type next, where one command mends it. */
  readonly next: Option.Option<string>
}

/** Nothing of these passes by itself. A token that has to be refreshed, and can be, is not among them. */
const needsPerson: ReadonlySet<AccountState["state"]> = new Set([
  "suspect",
  "reauth_required",
  "unsaved",
  "unreadable",
  "newer",
  "not_refreshed",
])

/** How a refresh ends where waiting does not help: the record of the provider has to be changed. */
const needsChange: ReadonlySet<string> = new Set(["not_entitled", "endpoint_moved", "misconfigured"])

/** With what a person should do about it. */
const judged = (
  known: Omit<AccountState, "needsAttention" | "next">,
  error?: StoreError | TokenError | CallError,
): AccountState => {
  const { account, refresh, state } = known
  const last = Option.flatMap(refresh, ({ last }) => last)
  const isRefused = Option.exists(last, ({ outcome }) => needsChange.has(outcome))
  const needsLogin = state === "reauth_required" || state === "suspect"
  const next = needsLogin
    ? Option.some(loginCommand(account))
    : error?._tag === "StoreCorrupt" && error.because === undefined
      ? Option.fromUndefinedOr(typeable(`${moveAwayCommand(error.path)} && ${loginCommand(account)}`))
      : isRefused
        ? Option.some(showCommand(account.provider))
        : Option.none()
  return { ...known, needsAttention: needsPerson.has(state) || isRefused, next }
}

/** Lists logins. */
export class LoginStatus extends Context.Service<
  LoginStatus,
  {
    readonly list: Effect.Effect<ReadonlyArray<AccountState>, StoreError | CallError>
    /** Whether to list them costs nothing, so that it may be done every other second: no token is handed out for it. */
    readonly isFree: boolean
  }
>()("tokenkeep/cli/status/LoginStatus") {
  /** From the host's store; asks no provider. */
  static readonly layerHost = Layer.effect(
    this,
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const lock = yield* AccountLock
      const providers = yield* Providers

      const detailsOf = Effect.fnUntraced(function* (account: AccountKey, { token }: AccountRecord) {
        const definition = yield* providers.definition(account.provider)
        const summarise = Option.getOrUndefined(definition)?.snapshot
        if (summarise === undefined) return {}
        const { publicFields } = yield* providers.record(account.provider)
        const details = yield* Effect.try({
          try: () => summarise(toPublic(token, publicFields).extras),
          catch: () => new SnapshotFailed({ provider: account.provider }),
        })
        return inPrint(details)
      })

      const describe = Effect.fnUntraced(function* (account: AccountKey) {
        const record = yield* accounts.get(account)
        const circumstances = {
          now: yield* DateTime.now,
          isUnsaved: Option.isSome(yield* accounts.unsaved(account)),
          isRefreshing: yield* lock.isHeld(account, "refresh"),
        }
        if (Option.isNone(record)) return Option.none()
        const details = yield* Effect.catch(detailsOf(account, record.value), (error) =>
          Effect.as(Effect.logDebug(error.message), {}),
        )
        const known = { account, snapshot: Option.some(snapshot(record.value.token)), details }
        const newer = yield* accounts.replaceable(account).pipe(
          Effect.as(Option.none()),
          Effect.catchTag("StoreNewer", ({ message }) => Effect.succeedSome(message)),
        )
        return Option.some(
          Option.isSome(newer)
            ? judged({ ...known, state: "newer", problem: newer, refresh: Option.none() })
            : judged({
                ...known,
                ...LoginState.describe(account, record.value, circumstances),
                refresh: Option.some(factsOf(account, record.value, circumstances.now)),
              }),
        )
      })
      return LoginStatus.of({
        isFree: true,
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
          Effect.map((token) =>
            judged({
              account,
              state: "ok",
              problem: Option.none(),
              snapshot: Option.some(snapshot(token)),
              refresh: Option.none(),
              details: {},
            }),
          ),
          Effect.catchTags({
            TokenNotFound: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            RefreshNotAvailable: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            ReauthRequired: (error) => Effect.succeed(troubled(account, "reauth_required", error)),
            RefreshFailed: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
            RefreshRateLimited: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
            ProviderNotFound: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
            // As for a file that is damaged. The other logins may be well.
            HostFailure: (error) => Effect.succeed(troubled(account, "not_refreshed", error)),
          }),
        )
      return LoginStatus.of({
        isFree: false,
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

const troubled = (
  account: AccountKey,
  state: AccountState["state"],
  error: StoreError | TokenError | CallError,
): AccountState =>
  judged(
    {
      account,
      state,
      problem: Option.some(error.message),
      snapshot: Option.none(),
      refresh: Option.none(),
      details: {},
    },
    error,
  )

/** What a plugin says of an account could not be had. */
export class SnapshotFailed extends Data.TaggedError("SnapshotFailed")<{ readonly provider: string }> {
  override get message(): string {
    return `What the plugin of ${printable(this.provider)} has to say for status could not be had.`
  }
}

/** A plugin's words, which may be the provider's, as a terminal may have them; few of them. */
const inPrint = (details: Snapshot): Snapshot =>
  Object.fromEntries(
    Object.entries(details)
      .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
      .slice(0, 8)
      .map(([name, value]) => [printable(name), typeof value === "string" ? printable(value) : value]),
  )

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
