/**
 * A length of time as people type it: `90s`, `10m`, `2h`. A bare number is seconds. Nothing here loads Effect, because a
 * program that lives for some milliseconds reads it too.
 */
const milliseconds: { readonly [unit: string]: number } = { "": 1_000, s: 1_000, m: 60_000, h: 3_600_000 }

/** In milliseconds; undefined if it is not written like that. */
export const millisecondsIn = (text: string): number | undefined => {
  const [, count, unit = ""] = /^(\d{1,6})([smh]?)$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (milliseconds[unit] ?? 0)
}
