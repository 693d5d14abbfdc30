/**
 * An address as a QR code, two modules in the height of a character.
 */
import { Effect, Option } from "effect"
import * as SecureUrl from "../../oauth/SecureUrl.ts"
import type { Look } from "../Screen.ts"

export interface QrCode {
  readonly columns: number
  readonly lines: ReadonlyArray<string>
}

/** Light around the code, in modules. The standard says four; readers make do with two, and a terminal has little room. */
const border = 2

/** Longer addresses make a code that no phone reads from a screen. */
const longest = 1_000

const halves = [" ", "▄", "▀", "█"] as const

/** The code of an address that may be opened, as characters that are light where they are drawn. */
const draw = (data: ReadonlyArray<ReadonlyArray<boolean>>, isLight: (isDark: boolean) => boolean) =>
  Array.from({ length: Math.ceil(data.length / 2) }, (_, row) =>
    (data[row * 2] ?? [])
      .map((upper, column) => {
        const lower = data[row * 2 + 1]?.[column] ?? false
        return halves[(isLight(upper) ? 2 : 0) + (isLight(lower) ? 1 : 0)]
      })
      .join(""),
  )

/** Nothing where it could not be shown, or read. */
export const make = Effect.fnUntraced(function* (url: string, look: Look) {
  const address = SecureUrl.parse(url)
  if (!look.isUnicode || Option.isNone(address) || address.value.href.length > longest) return Option.none<QrCode>()
  const { href } = address.value
  const { encode } = yield* Effect.promise(() => import("uqr"))
  const { data, size } = encode(href, { border, ecc: "L" })
  // With colours dark is dark, whatever the terminal's are. Without, it is most likely that it draws light on dark.
  const lines = look.hasColour
    ? draw(data, (isDark) => isDark).map((line) => look.paint(["black", "bgWhiteBright"], line))
    : draw(data, (isDark) => !isDark)
  return Option.some<QrCode>({ columns: size, lines })
})
