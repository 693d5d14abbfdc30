/**
 * The kernel's own lock on an open file, `flock` (flock(2)). It goes with the descriptor, however its holder ends.
 */
import { Duration, Effect, Schedule } from "effect"
import * as CLibrary from "./CLibrary.ts"

/** Tries once, and does not wait. */
export type TryLock = (descriptor: number, kind: keyof typeof operations) => "held" | "busy" | "failed"

// <sys/file.h>; the same on Linux and macOS.
const operations = { shared: 1, exclusive: 2 } as const
const LOCK_NB = 4

/** The systems that have it. */
const known: ReadonlySet<NodeJS.Platform> = new Set(["linux", "darwin"])

export const make = Effect.fnUntraced(function* (platform: NodeJS.Platform): Effect.fn.Return<TryLock> {
  if (!known.has(platform)) {
    yield* Effect.logWarning(
      "This operating system has no flock, so processes cannot be kept apart. Let one process do all refreshing.",
    )
    return () => "held"
  }
  const { errno, errnos, library } = yield* CLibrary.open
  const flock = library.func("int flock(int fd, int operation)")
  const busy = new Set([errnos.EAGAIN, errnos.EINTR, errnos.EWOULDBLOCK])
  return (descriptor, kind) => {
    if (flock(descriptor, operations[kind] | LOCK_NB) === 0) return "held"
    return busy.has(errno()) ? "busy" : "failed"
  }
})

const longestPause = Duration.millis(50)

/** How often a busy lock is tried: soon at first, because most are held for moments, then every 50 ms. */
const polling = Schedule.exponential("2 millis", 1.5).pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestPause))),
  Schedule.jittered,
)

/** When to try again for a busy lock, for about so long. */
export const waiting = (patience: Duration.Duration) =>
  // Tries are counted, not time: a clock that is set must neither shorten the wait nor draw it out.
  Schedule.upTo(polling, { times: Math.ceil(Duration.toMillis(patience) / Duration.toMillis(longestPause)) })
