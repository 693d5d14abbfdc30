/**
 * Which login is meant: a provider and one of its buckets.
 *
 * A value with structural equality everywhere inside. The text `provider:bucket` exists only at the edges (arguments,
 * messages), and is read back without loss: a colon or percent sign in the provider's name is percent-encoded. A provider
 * named by its address is written as it is, with the bucket behind it: `https://mcp.example/path#work`.
 */
import { Schema, SchemaTransformation } from "effect"

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

/** The bucket that is meant when none is named. */
export const defaultBucket = "default"

/** Whether a provider is named by its address: that of a server which tells itself where to log in. */
export const isAddress = (name: string): boolean => /^https?:\/\//.test(name)

/** An address as it is named here, however a person has typed it; any other name as it is. */
export const canonicalName = (text: string): string => {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null
  if (url === null) return text
  // RFC 8707 section 2: a resource has no fragment.
  url.hash = ""
  return url.href
}

/** `provider` for the default bucket, otherwise `provider:bucket`; of an address `address#bucket`. */
export const textOf = (provider: string, bucket: string): string => {
  if (isAddress(provider) && !provider.includes("#")) {
    return bucket === defaultBucket ? provider : [provider, bucket].join("#")
  }
  const encoded = provider.replaceAll("%", "%25").replaceAll(":", "%3A")
  // Joined, not concatenated: V8 keeps the pieces of a concatenation, and a million of these may be kept.
  return bucket === defaultBucket ? encoded : [encoded, bucket].join(":")
}

/** What {@link textOf} was made of. */
export const split = (text: string): { readonly provider: string; readonly bucket: string } => {
  if (isAddress(text)) {
    const mark = text.indexOf("#")
    return mark === -1
      ? { provider: text, bucket: defaultBucket }
      : { provider: text.slice(0, mark), bucket: text.slice(mark + 1) }
  }
  const colon = text.indexOf(":")
  const provider = colon === -1 ? text : text.slice(0, colon)
  return {
    provider: provider.replace(/%(3a|25)/gi, (_, hex) => (hex === "25" ? "%" : ":")),
    bucket: colon === -1 ? defaultBucket : text.slice(colon + 1),
  }
}

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
