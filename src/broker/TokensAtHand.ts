/**
 * Tokens that can be handed out at once: no file is read, no provider is asked, nobody waits. What a server answers most
 * requests with. Where there is none at hand, ask the broker.
 */
import { Clock, Context, Duration, Effect, Layer, Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"
import { isFreshAt, type PublicToken, toPublic } from "../domain/Token.ts"
import type { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { Accounts } from "./Accounts.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { Providers } from "./Providers.ts"

interface Published {
  readonly record: AccountRecord
  readonly provider: ProviderRecord
  readonly token: PublicToken
}

/**
 * What `Broker.getToken` would answer now, if that is known: the very same object, as long as the account's record is the
 * same. Nothing is, unless a layer says otherwise.
 */
export class TokensAtHand extends Context.Reference<(account: AccountKey) => Option.Option<PublicToken>>(
  "tokenkeep/broker/TokensAtHand",
  { defaultValue: () => Option.none },
) {
  /** From what the stores of the host have read already. */
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { minimumValidity } = yield* BrokerConfig
      const accounts = yield* Accounts
      const providers = yield* Providers
      const clock = yield* Clock.Clock
      const published = new WeakMap<AccountKey, Published>()
      const validity = Duration.toMillis(minimumValidity)

      return (account: AccountKey) => {
        const record = Option.getOrUndefined(accounts.glance(account))
        if (record === undefined || !isFreshAt(record.token, clock.currentTimeMillisUnsafe() + validity)) {
          return Option.none()
        }
        const provider = Option.getOrUndefined(providers.glance(account.provider))
        if (provider === undefined) return Option.none()
        const known = published.get(account)
        if (known !== undefined && known.record === record && known.provider === provider) {
          return Option.some(known.token)
        }
        const token = toPublic(record.token, provider.publicFields)
        published.set(account, { record, provider, token })
        return Option.some(token)
      }
    }),
  )
}
