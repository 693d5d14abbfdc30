/**
 * How often is too often: a bucket that fills at a steady rate and from which each request takes one token. Pure.
 */

/** The tokens that were there at an instant, in milliseconds of any clock that does not go back. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** A full bucket. */
export const full = (perSecond: number, now: number): Bucket => ({ tokens: perSecond, at: now })

/** Takes a token. Without one, says in how many milliseconds there will be one. */
export const take = (
  bucket: Bucket,
  perSecond: number,
  now: number,
): { readonly bucket: Bucket; readonly wait: number } => {
  const tokens = Math.min(perSecond, bucket.tokens + ((now - bucket.at) * perSecond) / 1000)
  // The sum of many small shares may fall short of a whole one by a rounding error.
  return tokens > 1 - 1e-6
    ? { bucket: { tokens: Math.max(0, tokens - 1), at: now }, wait: 0 }
    : { bucket: { tokens, at: now }, wait: ((1 - tokens) * 1000) / perSecond }
}
