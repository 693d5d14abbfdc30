/**
 * Who else is to know what a refresh brought: a tool whose login is kept here, and which has nothing but the access token.
 * Called once the record is saved, by whoever saved it; it does not fail.
 */
import { Context, Effect } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"

export const WhenSaved = Context.Reference<(account: AccountKey, record: AccountRecord) => Effect.Effect<void>>(
  "tokenkeep/broker/WhenSaved",
  { defaultValue: () => () => Effect.void },
)
