import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Option } from "effect"
import * as fc from "fast-check"
import { retryAfter } from "../../src/oauth/RetryAfter.ts"

const now = DateTime.makeUnsafe("2026-11-21T08:00:00Z")

/** The wait in seconds; undefined if the answer asks for none. */
const waitFor = (headers: { readonly [name: string]: string }) =>
  Option.getOrUndefined(Option.map(retryAfter(new Headers(headers), now), Duration.toSeconds))

const hour = 3600

describe("Retry-After", () => {
  for (const [header, seconds] of [
    ["120", 120],
    ["0", 0],
    ["0.0", 0],
    ["1.5", 1.5],
    ["0.25", 0.25],
    [" 7 ", 7],
    ["3600", hour],
    ["3601", hour],
    ["99999999999999999999", hour],
    ["Sat, 21 Nov 2026 08:02:00 GMT", 120],
    ["Saturday, 21-Nov-26 08:02:00 GMT", 120],
    ["Sat Nov 21 08:02:00 2026", 120],
    ["Sat, 21 Nov 2026 08:00:00 GMT", 0],
    ["Sat, 21 Nov 2026 07:00:00 GMT", 0],
    ["Sat, 21 Nov 2026 09:00:01 GMT", hour],
    ["Fri, 01 Jan 2100 00:00:00 GMT", hour],
  ] as const) {
    it(`of ${JSON.stringify(header)} is ${seconds} s`, () => {
      assert.strictEqual(waitFor({ "retry-after": header }), seconds)
    })
  }

  for (const header of [
    "",
    " ",
    "-1",
    "-5.5",
    "soon",
    "7s",
    "7, 8",
    "NaN",
    "Infinity",
    "-Infinity",
    "1_000",
    "Nov 2026",
  ]) {
    it(`of ${JSON.stringify(header)} says nothing`, () => {
      assert.isUndefined(waitFor({ "retry-after": header }))
    })
  }

  it("that is not there says nothing", () => {
    assert.isUndefined(waitFor({}))
    assert.isUndefined(waitFor({ date: "Sat, 21 Nov 2026 08:00:00 GMT" }))
  })

  it("with a date is held against the provider's own clock, if its answer has a Date", () => {
    const header = "Sat, 21 Nov 2026 08:02:00 GMT"
    for (const [date, seconds] of [
      ["Sat, 21 Nov 2026 08:01:30 GMT", 30],
      ["Sat, 21 Nov 2026 07:52:00 GMT", 600],
      ["Sat, 21 Nov 2026 08:05:00 GMT", 0],
      ["Sat, 21 Nov 2016 08:00:00 GMT", hour],
      ["nonsense", 120],
      ["", 120],
    ] as const) {
      assert.strictEqual(waitFor({ "retry-after": header, date }), seconds, date)
    }
  })

  it("in seconds has nothing to do with clocks", () => {
    assert.strictEqual(waitFor({ "retry-after": "5", date: "Sat, 21 Nov 2016 08:00:00 GMT" }), 5)
  })

  it("is never longer than an hour, and never negative, whatever is sent", () => {
    const text = fc.oneof(
      fc.string(),
      fc.double().map(String),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    )
    const inHeader = text.filter((value) => /^[\x20-\x7E]*$/.test(value))
    fc.assert(
      fc.property(inHeader, inHeader, (header, date) => {
        const wait = waitFor({ "retry-after": header, date })
        if (wait !== undefined) assert.isTrue(wait >= 0 && wait <= hour, `${header} ${date}: ${wait}`)
      }),
      { numRuns: 2000 },
    )
  })
})
