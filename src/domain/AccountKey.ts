/**
 * Which login is meant: a provider and one of its buckets.
 *
 * A value with structural equality everywhere inside. The text `provider:bucket` exists only at the edges (arguments,
 * messages), and is read back without loss: a colon or percent sign in the provider's name is percent-encoded. A provider
 * named by its address is written as it is, with the bucket behind it: `https://mcp.example/path#work`.
 */
import { Schema, SchemaTransformation } from "effect"
import { defaultBucket, split, textOf } from "./AccountText.ts"

/** What a thing may be called that a person names. */
export const Name = Schema.NonEmptyString.check(
  Schema.isMaxLength(200),
  Schema.makeFilter((name) => name.isWellFormed() || "a name must be well-formed Unicode"),
  Schema.makeFilter((name) => !/\p{Cc}/u.test(name) || "a name must not hold control characters"),
)

/** The name of a provider, as configured. 1 to 200 characters, none of them a control character. */
export const ProviderName = Name

/** The name of one of several logins at a provider. 1 to 200 characters, none of them a control character. */
export const BucketName = Name

export { canonicalName, defaultBucket, isAddress, split, textOf } from "./AccountText.ts"

/** A provider and a bucket. */
export class AccountKey extends Schema.Class<AccountKey>("AccountKey")({
  provider: ProviderName,
  bucket: BucketName,
}) {
  /** As {@link textOf}. */
  override toString(): string {
    return textOf(this.provider, this.bucket)
  }
}

/** An account from names that are already known to be valid; the bucket defaults to `default`. */
export const make = (provider: string, bucket: string = defaultBucket): AccountKey =>
  AccountKey.make({ provider, bucket })

/** Nobody has logged in as this: it is asked for in the place of what is not granted, so that both take as long. */
export const nobody = make("tokenkeep.nobody")

/** Reads what {@link AccountKey.toString} writes. */
export const AccountKeyFromString = Schema.String.pipe(
  Schema.decodeTo(
    AccountKey,
    SchemaTransformation.transform({
      decode: split,
      encode: ({ bucket, provider }) => AccountKey.make({ provider, bucket }).toString(),
    }),
  ),
)
