/**
 * Which accounts, or names, a person means: a name, or a pattern in which `*` stands for any characters. Pure.
 */
import { Schema, SchemaTransformation } from "effect"
import { type AccountKey, BucketName, isAddress, ProviderName, split, textOf } from "./AccountKey.ts"

const wildcard = "*"

/** Whether a name is meant by a pattern. No pattern is slow: each piece between two `*` is looked for once. */
export const matches = (pattern: string, name: string): boolean => {
  const [first = "", ...rest] = pattern.split(wildcard)
  const last = rest.pop()
  if (last === undefined) return first === name
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
  const middle = name.slice(first.length, name.length - last.length)
  let at = 0
  for (const piece of rest) {
    const found = middle.indexOf(piece, at)
    if (found === -1) return false
    at = found + piece.length
  }
  return true
}

/**
 * Whether a provider is meant. In an address a `*` among the letters of the host stands for letters of the host: what comes
 * after the host is for anybody to choose.
 */
export const matchesProvider = (pattern: string, provider: string): boolean => {
  const [, host, path] = /^https?:\/\/([^/]+)(\/.*)$/.exec(pattern) ?? []
  if (host === undefined || path === undefined || !isAddress(provider)) return matches(pattern, provider)
  const url = /^(https?:\/\/)([^/?#]+)(.*)$/.exec(provider)
  return url !== null && pattern.startsWith(url[1] ?? "") && matches(host, url[2] ?? "") && matches(path, url[3] ?? "")
}

/** Accounts: a pattern for the provider, and one for the bucket. */
export class AccountPattern extends Schema.Class<AccountPattern>("AccountPattern")({
  provider: ProviderName,
  bucket: BucketName,
}) {
  /** As it is typed. */
  override toString(): string {
    if (this.provider === wildcard && this.bucket === wildcard) return wildcard
    return textOf(this.provider, this.bucket)
  }
}

/** Reads `github`, `github:work`, `github:*`, `*` (every account) and the like: an account in which `*` is a wildcard. */
export const AccountPatternFromString = Schema.String.pipe(
  Schema.decodeTo(
    AccountPattern,
    SchemaTransformation.transform({
      decode: (text) => (text === wildcard ? { provider: wildcard, bucket: wildcard } : split(text)),
      encode: ({ bucket, provider }) => AccountPattern.make({ provider, bucket }).toString(),
    }),
  ),
)

/** Whether an account is meant. */
export const matchesAccount = ({ bucket, provider }: AccountPattern, account: AccountKey): boolean =>
  matchesProvider(provider, account.provider) && matches(bucket, account.bucket)
