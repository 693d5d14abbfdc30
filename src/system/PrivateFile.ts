/**
 * Files that only their owner may read, and that are either old or new, never half of both.
 *
 * Written to an exclusive temporary file in the same folder, which is 0600 from birth, synced, renamed over the old
 * one, and the folder synced, so that the change also survives a power cut.
 */
import { Effect, FileSystem, Option, Path, type Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { StoreUnavailable } from "../domain/Errors.ts"
import * as WholeWrite from "./WholeWrite.ts"

const unavailable = (path: string, operation: "read" | "write") => () => StoreUnavailable.make({ path, operation })

const temporaryExtension = ".tmp"

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const random = yield* SecureRandom.SecureRandom
  const { removeLeftover, syncFolder, writeNew } = WholeWrite.stepsOf(fs)

  const read = (path: string): Effect.Effect<Option.Option<string>, StoreUnavailable> =>
    fs.stat(path).pipe(
      // A pipe would be waited for, which nobody could stop, and a device has no end.
      Effect.filterOrFail(({ type }) => type === "File", unavailable(path, "read")),
      Effect.andThen(fs.readFileString(path)),
      Effect.asSome,
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
      Effect.mapError(unavailable(path, "read")),
    )

  const leftovers = Effect.fnUntraced(function* (path: string) {
    const folder = paths.dirname(path)
    const isLeft = (name: string) => name.startsWith(`${paths.basename(path)}.`) && name.endsWith(temporaryExtension)
    return yield* fs.readDirectory(folder).pipe(
      Effect.map((names) => names.filter(isLeft).map((name) => paths.join(folder, name))),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
      Effect.mapError(unavailable(path, "read")),
    )
  })

  return {
    /** The content, or none if there is no such file. */
    read,

    /** As it is decoded, or none; what cannot be decoded is `corrupt`, and left alone. */
    readAs: <A, R, C>(
      path: string,
      decode: (text: string) => Effect.Effect<A, Schema.SchemaError, R>,
      corrupt: C,
    ): Effect.Effect<Option.Option<A>, StoreUnavailable | C, R> =>
      Effect.flatMap(
        read(path),
        Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (text) => Effect.asSome(Effect.mapError(decode(text), () => corrupt)),
        }),
      ),

    /** Something that differs whenever the file was replaced; none if there is no such file. */
    version: (path: string): Effect.Effect<Option.Option<string>, StoreUnavailable> =>
      fs.stat(path).pipe(
        Effect.map(({ ino, mtime }) =>
          [Option.getOrNull(ino), Option.getOrNull(Option.map(mtime, (date) => date.getTime()))].join(" "),
        ),
        Effect.asSome,
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
        Effect.mapError(unavailable(path, "read")),
      ),

    /** Replaces the content; the folder is made, 0700, if it is not there. */
    write: Effect.fnUntraced(function* (path: string, content: string) {
      const folder = paths.dirname(path)
      const suffix = Hex.encode(yield* random.randomBytes(8))
      const temporary = `${path}.${suffix}${temporaryExtension}`
      yield* Effect.gen(function* () {
        const isNew = !(yield* fs.exists(folder))
        if (isNew) yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
        yield* writeNew(temporary, content).pipe(
          Effect.andThen(fs.rename(temporary, path)),
          Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))),
        )
        yield* syncFolder(folder)
        if (isNew) yield* syncFolder(paths.dirname(folder))
      }).pipe(Effect.mapError(unavailable(path, "write")))
    }, Effect.uninterruptible),

    /** What writers that did not live to the end have left: whole files or parts of them. */
    leftovers,

    /** Removes the file, if it is there, and what writers that did not live to the end have left of it. */
    remove: Effect.fnUntraced(function* (path: string) {
      const left = yield* leftovers(path)
      yield* Effect.gen(function* () {
        yield* Effect.forEach([...left, path], (file) => fs.remove(file, { force: true }), { discard: true })
        yield* syncFolder(paths.dirname(path))
      }).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
        Effect.mapError(unavailable(path, "write")),
      )
    }, Effect.uninterruptible),

    /**
     * Removes what writers that did not live to the end have left of it, which holds secrets; not what somebody may be writing
     * now. Where that does not succeed, the file is no worse for it.
     */
    removeLeftovers: Effect.fnUntraced(
      function* (path: string) {
        yield* Effect.forEach(
          yield* leftovers(path),
          (file) => Effect.catchReason(removeLeftover(file), "PlatformError", "NotFound", () => Effect.void),
          { discard: true },
        ).pipe(Effect.mapError(unavailable(path, "write")))
      },
      Effect.catch((error: StoreUnavailable) => Effect.logDebug(error.message)),
    ),

    /** The names of the folders, or of the files, in a folder; none if there is no such folder. */
    list: (folder: string, type: "Directory" | "File"): Effect.Effect<ReadonlyArray<string>, StoreUnavailable> =>
      fs.readDirectoryEntries(folder).pipe(
        Effect.map((entries) => entries.filter((entry) => entry.type === type).map((entry) => entry.name)),
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
        Effect.mapError(unavailable(folder, "read")),
      ),
  }
})
