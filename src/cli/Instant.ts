/**
 * A point in time as programs are told of it.
 */
import { DateTime, Option } from "effect"

/** In RFC 3339 under its name, and in seconds since the epoch beside it; nothing for none. */
export const instant = (name: string, at: Option.Option<DateTime.Utc>): { readonly [name: string]: string | number } =>
  Option.match(at, {
    onNone: () => ({}),
    onSome: (instant) => ({
      [name]: DateTime.formatIso(instant),
      [`${name}EpochSeconds`]: Math.floor(DateTime.toEpochMillis(instant) / 1000),
    }),
  })
