/**
 * What was read from a file, for as long as it is still the same file. Whether it is can be asked without waiting: a look
 * costs about two microseconds, so it is taken for each request, and what other processes do counts at once.
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

/** What a file said. */
export interface FileReading<A> {
  readonly path: string
  readonly version: Version
  readonly value: A
}

const look = (path: string): Version | undefined =>
  Result.getOrUndefined(
    Result.try(() => {
      const stat = statSync(path, { throwIfNoEntry: false })
      return stat && { inode: stat.ino, size: stat.size, modified: stat.mtimeMs }
    }),
  )

const isSame = (there: Version | undefined, known: Version): boolean =>
  there !== undefined && there.inode === known.inode && there.modified === known.modified && there.size === known.size

/**
 * A file younger than this may be replaced by one that looks the same: the clocks of file systems tick every few
 * milliseconds, and the number of a file that is gone is given to the next.
 */
const settling = Duration.toMillis("50 millis")

/** Whether what was read is what is there now. */
export const isCurrent = ({ path, version }: FileReading<unknown>): boolean => isSame(look(path), version)

/** Reads by `load`, and says what to remember of it; nothing while the file is young or changes under it. */
export const make = Effect.fnUntraced(function* <A, E, R>(path: string, load: Effect.Effect<A, E, R>) {
  const version = look(path)
  const value = yield* load
  const now = yield* Clock.currentTimeMillis
  const isSettled = version !== undefined && now - version.modified > settling && isSame(look(path), version)
  return {
    value,
    reading: isSettled ? Option.some<FileReading<A>>({ path, version, value }) : Option.none<FileReading<A>>(),
  }
})
