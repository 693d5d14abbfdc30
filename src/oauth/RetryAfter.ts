/**
 * How long a provider asks to be left alone (RFC 9110 section 10.2.3): seconds, or a date. At most an hour: what is longer
 * is a mistake more often than a wish, and a person may be waiting.
 */
import { DateTime, Duration, Option, Schema } from "effect"

const longest = Duration.hours(1)

const decodeSeconds = Schema.decodeOption(Schema.FiniteFromString.check(Schema.isGreaterThanOrEqualTo(0)))
const decodeHeader = Schema.decodeOption(Schema.RetryAfterFromString)

/** A date is held against the provider's own clock, where its answer says what that shows. */
export const retryAfter = (headers: Headers, now: DateTime.Utc): Option.Option<Duration.Duration> =>
  Option.fromNullOr(headers.get("retry-after")).pipe(
    Option.filter((header) => header.trim() !== ""),
    Option.flatMap((header) =>
      // Vendors send fractions of seconds, which the standard does not know.
      Option.orElse(Option.map(decodeSeconds(header), Duration.seconds), () =>
        Option.map(decodeHeader(header), (wish) =>
          wish._tag === "Duration" ? wish.duration : until(wish.dateTime, clockOf(headers, now)),
        ),
      ),
    ),
    Option.map((wait) => Duration.min(wait, longest)),
  )

const clockOf = (headers: Headers, now: DateTime.Utc): DateTime.Utc =>
  Option.getOrElse(DateTime.make(headers.get("date") ?? ""), () => now)

const until = (instant: DateTime.Utc, now: DateTime.Utc): Duration.Duration =>
  DateTime.isGreaterThan(instant, now) ? DateTime.distance(now, instant) : Duration.zero
