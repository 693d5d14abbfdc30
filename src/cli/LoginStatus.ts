/**
 * What `status` tells of each login, from the host's own store or, through a socket, from what the host hands out.
 */
import { Context, DateTime, Effect, Layer, Option } from "effect"
import { Broker, type CallError, type TokenError } from "../broker/Broker.ts"
import { type StoreError, TokenStore } from "../broker/TokenStore.ts"
import * as Account from "../domain/AccountKey.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { isFresh, snapshot, type TokenSnapshot } from "../domain/Token.ts"

export interface AccountState {
  readonly account: AccountKey
  /** `ok`: there is a valid access token, or a refresh token. Otherwise a word, and a sentence that says what to do. */
  readonly state: "ok" | "login-needed" | "unreadable" | "not-refreshed"
  /** Whether the host's own store says it, or only what it hands out: that never tells whether it can be refreshed. */
  readonly from: "host" | "socket"
  readonly problem: Option.Option<string>
  readonly snapshot: Option.Option<TokenSnapshot>
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
      const store = yield* TokenStore
      const describe = Effect.fnUntraced(function* (account: AccountKey) {
        const token = yield* store.get(account)
        const now = yield* DateTime.now
        return Option.map(token, (token): AccountState => {
          const usable = isFresh(token, now) || token.refreshToken !== undefined
          return {
            account,
            from: "host",
            state: usable ? "ok" : "login-needed",
            problem: usable ? Option.none() : Option.some("The token has expired and cannot be refreshed."),
            snapshot: Option.some(snapshot(token)),
          }
        })
      })
      return LoginStatus.of({
        list: Effect.gen(function* () {
          const accounts = yield* store.list
          const found = yield* Effect.forEach(accounts, (account) =>
            Effect.catch(describe(account), (error) =>
              Effect.succeedSome(troubled("host", account, "unreadable", error)),
            ),
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
            from: "socket",
            state: "ok",
            problem: Option.none(),
            snapshot: Option.some(snapshot(token)),
          })),
          Effect.catchTags({
            TokenNotFound: (error) => Effect.succeed(troubled("socket", account, "login-needed", error)),
            RefreshNotAvailable: (error) => Effect.succeed(troubled("socket", account, "login-needed", error)),
            ReauthRequired: (error) => Effect.succeed(troubled("socket", account, "login-needed", error)),
            RefreshFailed: (error) => Effect.succeed(troubled("socket", account, "not-refreshed", error)),
            ProviderNotFound: (error) => Effect.succeed(troubled("socket", account, "not-refreshed", error)),
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

const troubled = (
  from: AccountState["from"],
  account: AccountKey,
  state: AccountState["state"],
  error: StoreError | TokenError,
): AccountState => ({ account, from, state, problem: Option.some(error.message), snapshot: Option.none() })
