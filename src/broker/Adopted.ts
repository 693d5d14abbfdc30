/**
 * What is to be heeded of a login that is kept here for a tool, which has nothing but the access token. None of it fails.
 */
import { Context, Effect, type Option } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"

export const Adopted = Context.Reference<{
  /** The tool is to know what a refresh brought. Called once the record is saved, by whoever saved it. */
  readonly saved: (account: AccountKey, record: AccountRecord) => Effect.Effect<void>
  /** Why the refresh token must not be sent, if the tool may have used it itself: a sentence. */
  readonly spentBy: (account: AccountKey, record: AccountRecord) => Effect.Effect<Option.Option<string>>
  /** Somebody has logged out here. */
  readonly forgotten: (account: AccountKey) => Effect.Effect<void>
}>("tokenkeep/broker/Adopted", {
  defaultValue: () => ({
    saved: () => Effect.void,
    spentBy: () => Effect.succeedNone,
    forgotten: () => Effect.void,
  }),
})
