/**
 * The steps of replacing a file by another as a whole, in a way that survives a power cut.
 */
import { Clock, Duration, Effect, type FileSystem, Option } from "effect"

/** Nobody takes longer to write a file as small as ours. */
const longestWrite = Duration.minutes(1)

export const stepsOf = (fs: FileSystem.FileSystem) => ({
  /** Writes a file that must not be there yet; it is 0600 from birth, and on the disk when this is done. */
  writeNew: Effect.fnUntraced(function* (path: string, text: string) {
    const handle = yield* fs.open(path, { flag: "wx", mode: 0o600 })
    yield* handle.writeAll(new TextEncoder().encode(text))
    yield* handle.sync
  }, Effect.scoped),

  /** Brings to the disk what was renamed, made or removed in a folder. */
  syncFolder: Effect.fnUntraced(function* (folder: string) {
    const handle = yield* fs.open(folder, { flag: "r" })
    yield* handle.sync
  }, Effect.scoped),

  /** Removes what a writer has left, unless it may be writing still. */
  removeLeftover: Effect.fnUntraced(function* (path: string) {
    const now = yield* Clock.currentTimeMillis
    const { mtime } = yield* fs.stat(path)
    const isOld = Option.exists(mtime, (written) => now - written.getTime() > Duration.toMillis(longestWrite))
    if (isOld) yield* fs.remove(path, { force: true })
  }),
})
