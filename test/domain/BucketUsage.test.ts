import { assert, describe, it } from "@effect/vitest"
import { DateTime, Option } from "effect"
import * as BucketUsage from "../../src/domain/BucketUsage.ts"

type Row = readonly [provider: string, bucket: string, requests: number, lastUsed: number]

const usageOf = (...rows: ReadonlyArray<Row>) => {
  const usage: BucketUsage.Usage = new Map()
  for (const [provider, bucket, requests, lastUsed] of rows) {
    BucketUsage.count(usage, provider, bucket, { requests, lastUsed })
  }
  return usage
}

const rowsOf = (usage: BucketUsage.Usage): ReadonlyArray<Row> =>
  BucketUsage.accountsOf(usage).map(({ bucket, lastUsed, provider, requests }) => [
    provider,
    bucket,
    requests,
    lastUsed,
  ])

describe("usage", () => {
  it("is counted by account, with the last time, whatever order it comes in", () => {
    const usage = usageOf(["hub", "a", 1, 500], ["hub", "b", 2, 100], ["hub", "a", 3, 200], ["__proto__", "a", 1, 1])
    assert.deepStrictEqual(rowsOf(usage), [
      ["hub", "a", 4, 500],
      ["hub", "b", 2, 100],
      ["__proto__", "a", 1, 1],
    ])
  })

  it("is added up without touching what was added", () => {
    const one = usageOf(["hub", "a", 1, 500])
    const other = usageOf(["hub", "a", 2, 400], ["lab", "a", 1, 1])
    assert.deepStrictEqual(rowsOf(BucketUsage.sum(one, other, 10)), [
      ["hub", "a", 3, 500],
      ["lab", "a", 1, 1],
    ])
    assert.deepStrictEqual(rowsOf(one), [["hub", "a", 1, 500]])
  })

  it("of more accounts than are remembered is of those that were used last", () => {
    const total = BucketUsage.sum(usageOf(["hub", "old", 9, 1], ["hub", "new", 1, 3]), usageOf(["lab", "a", 1, 2]), 2)
    assert.sameDeepMembers(
      [...rowsOf(total)],
      [
        ["hub", "new", 1, 3],
        ["lab", "a", 1, 2],
      ],
    )
  })

  it("of a bucket is told with its share of what may be seen", () => {
    const hub = usageOf(["hub", "a", 3, 1500], ["hub", "b", 1, 1], ["hub", "c", 4, 1]).get("hub") ?? new Map()
    assert.deepStrictEqual(BucketUsage.statsOf("a", hub), {
      bucket: "a",
      requestCount: 3,
      percentage: 37.5,
      lastUsed: Option.some(DateTime.makeUnsafe(1500)),
    })
    assert.strictEqual(BucketUsage.statsOf("a", hub, (bucket) => bucket !== "c").percentage, 75)
    const unused = { bucket: "d", requestCount: 0, percentage: 0, lastUsed: Option.none() }
    assert.deepStrictEqual(BucketUsage.statsOf("d", hub), unused)
    assert.deepStrictEqual(BucketUsage.statsOf("d", new Map()), unused)
  })
})
