/**
 * What was read from a file, for as long as it is still the same file. Whether it is can be asked without waiting, for each
 * request: what other processes do to the file counts a millisecond later.
 */
import { statSync } from "node:fs"
import { Clock, Duration, Effect, Option, Result } from "effect"

/** Tells a file from others that were at its path before: each write of ours makes a new one. */
interface Version {
  readonly inode: number
  readonly size: number
  /** Milliseconds, with the fraction that the file system keeps. */
  readonly modified: number
}

/** What a file said; or that there is none, which is as good to know. */
export interface FileReading<A> {
  readonly path: string
  readonly version: Version | "none"
  readonly value: A
}

/** Undefined where it cannot be told. */
const look = (path: string): Version | "none" | undefined =>
  Result.getOrUndefined(
    Result.try(() => {
      const stat = statSync(path, { throwIfNoEntry: false })
      return stat === undefined ? "none" : { inode: stat.ino, size: stat.size, modified: stat.mtimeMs }
    }),
  )

const isSame = (there: Version | "none" | undefined, known: Version | "none"): boolean => {
  if (there === undefined || there === "none" || known === "none") return there === known
  return there.inode === known.inode && there.modified === known.modified && there.size === known.size
}

/**
 * A file younger than this may be replaced by one that looks the same: the clocks of file systems tick every few
 * milliseconds, and the number of a file that is gone is given to the next.
 */
const settling = Duration.toMillis("50 millis")

/** For how long a look is as good as another; a look is a call of the kernel, and a busy server would do little else. */
const blink = Option.getOrThrow(Duration.toNanos("1 millis"))

export const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  let confirmed = new WeakSet<FileReading<unknown>>()
  let since = clock.monotonicTimeNanosUnsafe()

  return {
    /** Reads by `load`, and says what to remember of it; nothing while the file is young or changes under it. */
    read: Effect.fnUntraced(function* <A, E, R>(path: string, load: Effect.Effect<A, E, R>) {
      const version = look(path)
      const value = yield* load
      const now = yield* Clock.currentTimeMillis
      const isSettled =
        version !== undefined &&
        (version === "none" || now - version.modified > settling) &&
        isSame(look(path), version)
      return {
        value,
        reading: isSettled ? Option.some<FileReading<A>>({ path, version, value }) : Option.none<FileReading<A>>(),
      }
    }),

    /** Whether what was read is what is there now. */
    isCurrent: (reading: FileReading<unknown>): boolean => {
      const now = clock.monotonicTimeNanosUnsafe()
      if (now - since > blink) {
        confirmed = new WeakSet()
        since = now
      } else if (confirmed.has(reading)) return true
      const isThere = isSame(look(reading.path), reading.version)
      if (isThere) confirmed.add(reading)
      return isThere
    },

    /** Has to be called after a file was changed from here: that counts at once. */
    changed: (): void => {
      confirmed = new WeakSet()
    },
  }
})
