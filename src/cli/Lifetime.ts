/**
 * A length of time on a command line, as {@link LifetimeText} has it.
 */
import { Duration, Schema, SchemaTransformation } from "effect"
import { millisecondsIn } from "../domain/LifetimeText.ts"

export const Lifetime = Schema.String.check(
  Schema.makeFilter(
    (text) => millisecondsIn(text) !== undefined || "expected a number with s, m or h, like 90s, 10m or 2h",
  ),
).pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transform({
      decode: (text) => Duration.millis(millisecondsIn(text) ?? 0),
      encode: (duration) => `${Math.ceil(Duration.toSeconds(duration))}s`,
    }),
  ),
)
