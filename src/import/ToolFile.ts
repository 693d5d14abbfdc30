/**
 * The file of another tool: read byte for byte, and replaced as carefully as one of ours. Mode and owner stay, and where the
 * path is a symbolic link, the file that it leads to is replaced.
 */
import { Data, Effect, FileSystem, Option, Path, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { oneLine } from "../domain/RemoteText.ts"
import * as WholeWrite from "../system/WholeWrite.ts"

/** What there is. */
export interface Content {
  readonly text: string
  /** In bytes. */
  readonly size: number
  readonly mode: number
  readonly uid: Option.Option<number>
  /** How many names it has. */
  readonly names: number
}

/** Somebody else has changed the file since it was read. */
export class FileChanged extends Data.TaggedError("FileChanged")<{ readonly path: string }> {
  override get message(): string {
    return `${oneLine(this.path)} is being changed by the tool that it belongs to. It was left as it is; try again when the tool is not at work.`
  }
}

/** It cannot be read or written. */
export class FileTrouble extends Data.TaggedError("FileTrouble")<{
  readonly path: string
  readonly operation: "read" | "write"
}> {
  override get message(): string {
    return `Could not ${this.operation} ${oneLine(this.path)}. It was left as it is; check that it is yours, and that its folder can be written to.`
  }
}

const trouble = (path: string, operation: "read" | "write") => () => new FileTrouble({ path, operation })

/** Some tools keep a lot in one file; more than this no login is among. */
const largest = 64 * 1024 * 1024

const leftover = ".tokenkeep.tmp"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const random = yield* SecureRandom.SecureRandom
  const { removeLeftover, syncFolder, writeNew } = WholeWrite.stepsOf(fs)

  /** The file; none if there is none. What is not UTF-8 has an empty text, which no file of a tool has. */
  const read = Effect.fnUntraced(
    function* (path: string) {
      const { mode, nlink, size, type, uid } = yield* fs.stat(path)
      // A pipe would be waited for, and a device has no end.
      if (type !== "File" || size > largest) return yield* new FileTrouble({ path, operation: "read" })
      const bytes = yield* fs.readFile(path)
      const text = Result.getOrElse(
        Result.try(() => decoder.decode(bytes)),
        () => "",
      )
      return Option.some<Content>({
        text,
        size: bytes.length,
        mode: mode & 0o7777,
        uid,
        names: Number(Option.getOrElse(nlink, () => 1)),
      })
    },
    (effect, path) =>
      effect.pipe(
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
        Effect.catchTag("PlatformError", () => Effect.fail(trouble(path, "read")())),
      ),
  )

  /** Removes what processes that were killed over it have left, which holds tokens; not what somebody writes now. */
  const removeLeftovers = Effect.fnUntraced(
    function* <E>(target: string, remove: (path: string) => Effect.Effect<void, E>) {
      const folder = paths.dirname(target)
      const names = yield* fs.readDirectory(folder)
      const isLeft = (name: string) => name.startsWith(`.${paths.basename(target)}.`) && name.endsWith(leftover)
      for (const name of names.filter(isLeft)) yield* remove(paths.join(folder, name))
    },
    (effect) => Effect.ignore(effect),
  )

  return {
    read,

    /**
     * Removes all that processes that were killed have left beside the file. Who writes at this moment fails, as if the
     * folder could not be written to; so this is for what seldom happens.
     */
    tidy: (path: string) =>
      fs.realPath(path).pipe(
        Effect.flatMap((target) => removeLeftovers(target, (left) => fs.remove(left, { force: true }))),
        Effect.ignore,
      ),

    /** Replaces the text, if it is still what was read; `was` is none for a file that is to be new. */
    replace: Effect.fnUntraced(
      function* (path: string, was: Option.Option<string>, text: string) {
        const target = Option.isNone(was) ? path : yield* fs.realPath(path)
        const folder = paths.dirname(target)
        yield* removeLeftovers(target, removeLeftover)
        const temporary = paths.join(
          folder,
          `.${paths.basename(target)}.${Hex.encode(yield* random.randomBytes(8))}${leftover}`,
        )
        yield* Effect.gen(function* () {
          yield* writeNew(temporary, text)
          if (Option.isSome(was)) {
            const before = yield* fs.stat(target)
            const fresh = yield* fs.stat(temporary)
            const [uid, gid] = [Option.getOrUndefined(before.uid), Option.getOrUndefined(before.gid)]
            const isOther = Option.getOrUndefined(fresh.uid) !== uid || Option.getOrUndefined(fresh.gid) !== gid
            if (uid !== undefined && gid !== undefined && isOther) {
              yield* fs.chown(temporary, uid, gid)
            }
            yield* fs.chmod(temporary, before.mode & 0o7777)
          }
          const now = yield* read(path)
          const isSame = Option.getOrUndefined(Option.map(now, (file) => file.text)) === Option.getOrUndefined(was)
          if (!isSame) return yield* new FileChanged({ path })
          yield* fs.rename(temporary, target)
          // It is in place, and must not be called a failure: not all folders that can be written to can be opened.
          yield* Effect.ignore(syncFolder(folder))
        }).pipe(Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))))
      },
      (effect, path) => Effect.catchTag(effect, "PlatformError", () => Effect.fail(trouble(path, "write")())),
      Effect.uninterruptible,
    ),
  }
})
