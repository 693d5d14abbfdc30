/**
 * A length of time in words: seconds as long as they matter, then minutes, hours, days.
 */
import { Duration } from "effect"

export const inWords = (time: Duration.Duration): string => {
  const seconds = Math.max(0, Math.round(Duration.toSeconds(time)))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`
}

/** Minutes and seconds, for a time that is seen to pass. */
export const asClock = (time: Duration.Duration): string => {
  const seconds = Math.max(0, Math.ceil(Duration.toSeconds(time)))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}
