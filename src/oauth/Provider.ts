/**
 * A provider ready to be spoken to, and what is known of one before anybody configures it.
 */
import type { Effect, Option, Redacted } from "effect"
import type { Granter } from "../domain/AccountRecord.ts"
import type { Extras, PublicToken } from "../domain/Token.ts"
import type { Dialect } from "./Dialect.ts"
import type { Guard } from "./Guard.ts"
import type { ProviderRecord } from "./ProviderRecord.ts"

/** A provider ready to be spoken to. */
export interface Provider extends ProviderRecord {
  readonly name: string
  readonly secret: Option.Option<Redacted.Redacted>
  readonly dialect?: Dialect
  /** Where its endpoints may be, if it is a server that told them itself. */
  readonly guard?: Guard
  /** What to do when it does not know our client any more. */
  readonly whenClientRefused?: Effect.Effect<void>
}

/** Who gives what such a provider grants; `tokenEndpoint` is where that was, once it is known. */
export const granterOf = ({ clientId, endpoints, issuer }: ProviderRecord, tokenEndpoint?: string): Granter => ({
  server: endpoints?.token ?? issuer ?? "",
  clientId,
  ...(tokenEndpoint !== undefined && { tokenEndpoint }),
})

/** Makes the next version of the extra fields that are stored with a token. Pure; what it is given may be secret. */
export type ExtrasMigration = (extras: typeof Extras.Encoded) => typeof Extras.Encoded

/**
 * What is known of a provider: the part of its record that is the same for everybody, as JSON, and its dialect. What the
 * configuration says of the provider replaces what is said here, field by field.
 */
export interface ProviderDefinition {
  /** What it is called unless the configuration says otherwise. */
  readonly name: string
  readonly record: Partial<typeof ProviderRecord.Encoded>
  readonly dialect?: Dialect
  /**
   * How stored extra fields of older versions become those of the next one. How many there are is the version; so one is
   * added when the shape changes, and none is ever taken away or changed.
   */
  readonly migrations?: ReadonlyArray<ExtrasMigration>
  /** A few fields for `status`, out of the extra fields that are public by the record; it is given no others. */
  readonly snapshot?: (publicFields: PublicToken["extras"]) => Snapshot
}

/** What `status` shows of an account beyond what it shows of all. */
export type Snapshot = { readonly [name: string]: string | number | boolean }
