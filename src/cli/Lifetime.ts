/**
 * A length of time as people type it: `90s`, `10m`, `2h`. A bare number is seconds.
 */
import { Duration, Schema, SchemaTransformation } from "effect"

const pattern = /^(\d{1,6})([smh]?)$/
const milliseconds: { readonly [unit: string]: number } = { "": 1_000, s: 1_000, m: 60_000, h: 3_600_000 }

const parse = (text: string): number => {
  const [, count = "0", unit = ""] = pattern.exec(text) ?? []
  return Number(count) * (milliseconds[unit] ?? 0)
}

export const Lifetime = Schema.String.check(
  Schema.isPattern(pattern, { message: "expected a number with s, m or h, like 90s, 10m or 2h" }),
).pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transform({
      decode: (text) => Duration.millis(parse(text)),
      encode: (duration) => `${Math.ceil(Duration.toSeconds(duration))}s`,
    }),
  ),
)
