/**
 * Tells a provider that a login is over, before it is forgotten here: the refresh token, which gave the others, and then
 * the access token. Whatever comes of it, the login is forgotten.
 */
import { Context, Duration, Effect, Layer, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import { type AccountRecord, isGranter } from "../domain/AccountRecord.ts"
import { printable } from "../domain/RemoteText.ts"
import type { Revocation } from "../domain/Revocation.ts"
import { OAuthClient, type RevocationGrant } from "../oauth/OAuthClient.ts"
import { Providers } from "./Providers.ts"

/** A person waits for it: 10 s for both tokens together. */
const patience = Duration.seconds(10)

export class Revoker extends Context.Service<
  Revoker,
  { readonly revoke: (account: AccountKey, record: AccountRecord) => Effect.Effect<Revocation> }
>()("tokenkeep/broker/Revoker") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const providers = yield* Providers
      const client = yield* OAuthClient

      const tryTo = Effect.fnUntraced(function* (account: AccountKey, record: AccountRecord) {
        // What did not come from a login here is shown to nobody.
        if (record.grantedBy === undefined) return "not_offered"
        const grant = yield* client.beginRevocation(yield* providers.get(account.provider))
        if (Option.isNone(grant)) return "not_offered"
        if (!isGranter(record, grant.value.granter)) return "not_offered"
        return yield* revokeBoth(grant.value, record)
      })

      return Revoker.of({
        revoke: Effect.fn("Revoker.revoke")(function* (account, record) {
          const name = printable(account.toString())
          return yield* tryTo(account, record).pipe(
            Effect.catchTag("ProviderNotConfigured", () => Effect.succeed("not_offered" as const)),
            Effect.tapError(({ message }) => Effect.logWarning(`The login of ${name} was not revoked. ${message}`)),
            Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail("too late" as const) }),
            Effect.orElseSucceed((): Revocation => "failed"),
          )
        }),
      })
    }),
  )
}

const revokeBoth = Effect.fnUntraced(function* (
  { revoke }: RevocationGrant,
  { token }: AccountRecord,
): Effect.fn.Return<Revocation, Effect.Error<ReturnType<RevocationGrant["revoke"]>>> {
  const { accessToken, refreshToken } = token
  if (refreshToken === undefined) yield* revoke(accessToken, "access_token")
  else {
    yield* revoke(refreshToken, "refresh_token")
    // RFC 7009 section 2.1: with a refresh token goes what it gave, though not everywhere, and not all know of access tokens.
    yield* Effect.ignore(revoke(accessToken, "access_token"))
  }
  return "revoked"
})
