import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as RateLimit from "../../src/server/RateLimit.ts"

/** Takes a token at each of these instants, and says which were there and how long the others have to wait. */
const takeAt = (perSecond: number, instants: ReadonlyArray<number>) => {
  let bucket = RateLimit.full(perSecond, instants[0] ?? 0)
  return instants.map((now) => {
    const taken = RateLimit.take(bucket, perSecond, now)
    bucket = taken.bucket
    return taken.wait
  })
}

describe("a token bucket", () => {
  it("has as many tokens at first as come in a second, and then says when the next one comes", () => {
    assert.deepStrictEqual(takeAt(4, [0, 0, 0, 0, 0]), [0, 0, 0, 0, 250])
  })

  it("fills at a steady rate", () => {
    assert.deepStrictEqual(takeAt(2, [0, 0, 125, 250, 375, 500, 625, 1000]), [0, 0, 375, 250, 125, 0, 375, 0])
  })

  it("takes nothing for a request that is refused", () => {
    assert.deepStrictEqual(takeAt(1, [0, 250, 250, 250, 1000]), [0, 750, 750, 750, 0])
  })

  it("never holds more than comes in a second, however long it was left alone", () => {
    assert.deepStrictEqual(takeAt(2, [0, 1_000_000, 1_000_000, 1_000_000]), [0, 0, 0, 500])
  })

  it("counts from the instant it was made, whatever the clock says then", () => {
    assert.deepStrictEqual(takeAt(1, [5_000_000_000, 5_000_000_000, 5_000_001_000]), [0, 1000, 0])
  })

  it("lets through at most one second's worth and what has come since, in any stretch of time", () => {
    const rate = fc.integer({ min: 1, max: 50 })
    const steps = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 })
    fc.assert(
      fc.property(rate, steps, (perSecond, waits) => {
        let now = 0
        const instants = waits.map((wait) => (now += wait))
        const outcomes = takeAt(perSecond, instants)
        const admitted = instants.filter((_, i) => outcomes[i] === 0)
        for (const [i, from] of admitted.entries()) {
          const last = admitted.at(-1) ?? from
          assert.isAtMost(admitted.length - i, perSecond + ((last - from) * perSecond) / 1000 + 1e-6)
        }
      }),
    )
  })

  it("has a token for whoever waits as long as it says", () => {
    const rate = fc.integer({ min: 1, max: 50 })
    fc.assert(
      fc.property(rate, fc.double({ min: 0, max: 0.99, noNaN: true }), (perSecond, tokens) => {
        const { bucket, wait } = RateLimit.take({ tokens, at: 0 }, perSecond, 0)
        assert.isAbove(wait, 0)
        assert.isAbove(RateLimit.take(bucket, perSecond, wait * 0.99).wait, 0)
        assert.strictEqual(RateLimit.take(bucket, perSecond, wait + 0.001).wait, 0)
      }),
    )
  })

  it("lets a peer through that was refused in between as often as it liked", () => {
    let { bucket } = RateLimit.take(RateLimit.full(1, 0), 1, 0)
    for (let now = 100; now < 1000; now += 100) bucket = RateLimit.take(bucket, 1, now).bucket
    assert.strictEqual(RateLimit.take(bucket, 1, 1000).wait, 0)
  })
})
