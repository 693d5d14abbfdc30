/**
 * How often is too often: a bucket that fills at a steady rate and from which each request takes a token, or
 * several. Pure.
 */

/** The tokens that were there at an instant, in milliseconds of any clock that does not go back. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** A full bucket. */
export const full = (perSecond: number, now: number): Bucket => ({ tokens: perSecond, at: now })

/** Takes tokens, but no more than a full bucket has. Without them, says in how many milliseconds they will be there. */
export const take = (
  bucket: Bucket,
  perSecond: number,
  now: number,
  cost: number = 1,
): { readonly bucket: Bucket; readonly wait: number } => {
  const tokens = Math.min(perSecond, bucket.tokens + ((now - bucket.at) * perSecond) / 1000)
  const wanted = Math.min(cost, perSecond)
  // The sum of many small shares may fall short of a whole one by a rounding error.
  return tokens > wanted - 1e-6
    ? { bucket: { tokens: Math.max(0, tokens - wanted), at: now }, wait: 0 }
    : { bucket: { tokens, at: now }, wait: ((wanted - tokens) * 1000) / perSecond }
}

/** A bucket that is used up as requests come, by one connection or by several. */
export class Allowance {
  readonly #perSecond: number
  #bucket: Bucket | undefined

  /** Any number of requests if `perSecond` is 0. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** For how many milliseconds a request comes too early; if for none, it is counted. */
  take(now: number, cost: number): number {
    if (this.#perSecond === 0) return 0
    const taken = take(this.#bucket ?? full(this.#perSecond, now), this.#perSecond, now, cost)
    this.#bucket = taken.bucket
    return taken.wait
  }
}
