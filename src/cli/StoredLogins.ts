/**
 * What only the host knows of a login beyond the token that it hands out. Through a socket it is not told, and the host
 * decides by itself.
 */
import { Context, DateTime, Effect, Layer, Option, Redacted } from "effect"
import { Accounts } from "../broker/Accounts.ts"
import { Providers } from "../broker/Providers.ts"
import type { StoreError } from "../broker/TokenStore.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { TokenNotFound } from "../domain/Errors.ts"
import { type PublicToken, toPublic } from "../domain/Token.ts"
import { claimsOf } from "../oauth/JwtClaims.ts"
import { UsageError } from "./UsageError.ts"

interface Stored {
  /** The access token as it is kept. Nobody is asked for another one. */
  readonly kept: (account: AccountKey) => Effect.Effect<PublicToken, TokenNotFound | UsageError | StoreError>
  /** Whether the refresh token was seen to be good once. */
  readonly isRotating: (account: AccountKey) => Effect.Effect<boolean, StoreError>
  /** The ID token that came with the access token, if there is one that has not expired. */
  readonly idToken: (
    account: AccountKey,
  ) => Effect.Effect<Option.Option<Redacted.Redacted>, TokenNotFound | UsageError | StoreError>
}

const onHostOnly = (what: string) =>
  new UsageError({ detail: `${what} is for the host to decide. Type this there, or without TOKENKEEP_SOCKET.` })

const throughSocket: Stored = {
  kept: () => Effect.fail(onHostOnly("Whether a token is refreshed")),
  isRotating: () => Effect.succeed(false),
  idToken: () => Effect.fail(onHostOnly("Whether an ID token is handed out")),
}

export class StoredLogins extends Context.Reference<Stored>("tokenkeep/cli/StoredLogins", {
  defaultValue: () => throughSocket,
}) {
  static readonly layerHost = Layer.effect(
    StoredLogins,
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const providers = yield* Providers

      const find = Effect.fnUntraced(function* (account: AccountKey) {
        const record = yield* accounts.get(account)
        return Option.isSome(record) ? record.value : yield* TokenNotFound.make({ account })
      })

      return {
        kept: Effect.fnUntraced(function* (account) {
          const { token } = yield* find(account)
          const publicFields = yield* providers.record(account.provider).pipe(
            Effect.map((record) => record.publicFields),
            Effect.orElseSucceed(() => []),
          )
          return toPublic(token, publicFields)
        }),
        isRotating: (account) =>
          Effect.map(
            accounts.get(account),
            Option.exists(({ history }) => history.rotation === "observed"),
          ),
        idToken: Effect.fnUntraced(function* (account) {
          const { token } = yield* find(account)
          const idToken = Redacted.value(token.extras)["id_token"]
          if (typeof idToken !== "string") return Option.none()
          const now = DateTime.toEpochMillis(yield* DateTime.now)
          const expiry = Option.map(claimsOf(idToken), (claims) => Number(claims["exp"]) * 1000)
          return Option.exists(expiry, (at) => at > now) ? Option.some(Redacted.make(idToken)) : Option.none()
        }),
      }
    }),
  )
}
