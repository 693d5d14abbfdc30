import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { encode } from "uqr"
import * as QrCode from "../../../src/cli/login/QrCode.ts"
import type { Look } from "../../../src/cli/Screen.ts"

const lookWith = (hasColour: boolean): Look => ({
  isTerminal: true,
  hasColour,
  canRedraw: true,
  isUnicode: true,
  columns: () => 80,
  paint: (_, text) => text,
})

/** The modules that somebody sees who takes what is drawn for `drawn`. */
const modulesIn = (lines: ReadonlyArray<string>, drawn: boolean) =>
  lines.flatMap((line) => [
    [...line].map((half) => "▀█".includes(half) === drawn),
    [...line].map((half) => "▄█".includes(half) === drawn),
  ])

describe("a QR code", () => {
  it.effect("is dark where it must be: as it is drawn with colours, or where nothing is drawn without", () =>
    Effect.gen(function* () {
      const url = "https://id.example/device?user_code=WDJB-MJHT"
      const { data, size } = encode(url, { border: 2, ecc: "L" })
      for (const hasColour of [true, false]) {
        const { columns, lines } = Option.getOrThrow(yield* QrCode.make(url, lookWith(hasColour)))
        assert.deepStrictEqual(modulesIn(lines, hasColour).slice(0, size), data)
        assert.strictEqual(columns, size)
      }
    }),
  )

  it.effect("is not made of what may not be opened, or of what no phone could read, or where it cannot be drawn", () =>
    Effect.gen(function* () {
      const look = lookWith(true)
      for (const url of ["javascript:alert(1)", "http://evil.example", "", `https://id.example/${"x".repeat(1_000)}`]) {
        assert.isTrue(Option.isNone(yield* QrCode.make(url, look)), url)
      }
      assert.isTrue(Option.isNone(yield* QrCode.make("https://id.example", { ...look, isUnicode: false })))
    }),
  )
})
