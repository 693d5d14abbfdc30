/**
 * How often the tokens of accounts were asked for, and when last. Pure, but for {@link count}: it is done for each request.
 */
import { DateTime, Option } from "effect"

/** What is counted of one account. */
export interface Uses {
  readonly requests: number
  /** In epoch milliseconds. */
  readonly lastUsed: number
}

/** By bucket. */
export type ProviderUsage = Map<string, Uses>

/** By provider. */
export type Usage = Map<string, ProviderUsage>

/** What one bucket had of its provider's requests. */
export interface BucketStats {
  readonly bucket: string
  readonly requestCount: number
  /** Of the provider's requests, 0 to 100. */
  readonly percentage: number
  readonly lastUsed: Option.Option<DateTime.Utc>
}

/** Counts `uses` of an account in `usage`. */
export const count = (usage: Usage, provider: string, bucket: string, { lastUsed, requests }: Uses): void => {
  let buckets = usage.get(provider)
  if (buckets === undefined) {
    buckets = new Map()
    usage.set(provider, buckets)
  }
  const known = buckets.get(bucket)
  buckets.set(
    bucket,
    known === undefined
      ? { requests, lastUsed }
      : { requests: known.requests + requests, lastUsed: Math.max(known.lastUsed, lastUsed) },
  )
}

/** The accounts, one by one. */
export const accountsOf = (usage: Usage) =>
  [...usage].flatMap(([provider, buckets]) => [...buckets].map(([bucket, uses]) => ({ provider, bucket, ...uses })))

/** What both have counted; of more than `most` accounts, those that were used last. */
export const sum = (one: Usage, other: Usage, most: number): Usage => {
  const total: Usage = new Map()
  for (const { bucket, provider, ...uses } of [one, other].flatMap(accountsOf)) count(total, provider, bucket, uses)
  const accounts = accountsOf(total)
  if (accounts.length <= most) return total
  const kept: Usage = new Map()
  for (const { bucket, provider, ...uses } of accounts.toSorted((a, b) => b.lastUsed - a.lastUsed).slice(0, most))
    count(kept, provider, bucket, uses)
  return kept
}

/** The statistics of a bucket among those that `isSeen`. */
export const statsOf = (
  bucket: string,
  usage: ProviderUsage,
  isSeen: (bucket: string) => boolean = () => true,
): BucketStats => {
  let total = 0
  for (const [name, { requests }] of usage) if (isSeen(name)) total += requests
  const uses = usage.get(bucket)
  return {
    bucket,
    requestCount: uses?.requests ?? 0,
    percentage: uses === undefined || total === 0 ? 0 : (100 * uses.requests) / total,
    lastUsed: Option.map(Option.fromUndefinedOr(uses), ({ lastUsed }) => DateTime.makeUnsafe(lastUsed)),
  }
}
