/**
 * The place of a Unix socket: a folder that is ours alone, under folders in which nobody else can put another in its
 * place. What is not so is refused, not mended. One server at a time has a path; a kernel lock beside it says which.
 */
import { open, rmdir } from "node:fs/promises"
import { connect, type Server } from "node:net"
import { Clock, Data, Duration, Effect, FileSystem, Option, Path } from "effect"
import * as KernelLock from "../system/KernelLock.ts"
import { groupOrOthersMayDoAnything, groupOrOthersMayWrite, root, unmapped } from "../system/Ownership.ts"

/** The socket could not be made. */
export class SocketUnavailable extends Data.TaggedError("SocketUnavailable")<{
  readonly path: string
  readonly why: string
}> {
  override get message(): string {
    return `Cannot listen on ${this.path}: ${this.why}.`
  }
}

/** `sun_path` of sockaddr_un holds 108 bytes on Linux and 104 elsewhere, the closing zero included. */
export const longestPath = process.platform === "linux" ? 107 : 103

const isSticky = 0o1000

/** Where the lock is that says whose socket it is. */
const lockOf = (path: string) => `${path}.lock`

/** A server that has made its folder has its lock sooner than this. */
const longestStart = Duration.minutes(1)

/**
 * Removes what servers that were killed have left of their sockets, each of which is in a folder of its own in this one
 * and has this name.
 */
export const sweep = Effect.fnUntraced(
  function* (folder: string, name: string) {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const tryLock = yield* KernelLock.make(process.platform)
    const now = yield* Clock.currentTimeMillis

    const removeIfDead = Effect.fnUntraced(function* (own: string) {
      const { mtime, type } = yield* fs.stat(own)
      const isOld = Option.exists(mtime, (made) => now - made.getTime() > Duration.toMillis(longestStart))
      if (type !== "Directory" || !isOld) return
      // Anything else in there is somebody's, who only has chosen the same name for a folder.
      const left = yield* fs.readDirectory(own)
      if (left.some((file) => paths.join(own, file) !== lockOf(paths.join(own, name)) && file !== name)) return
      const lock = yield* Effect.option(
        Effect.acquireRelease(
          Effect.tryPromise(() => open(lockOf(paths.join(own, name)), "r")),
          (handle) => Effect.promise(() => handle.close()),
        ),
      )
      if (Option.exists(lock, ({ fd }) => tryLock(fd, "exclusive") !== "held")) return
      yield* fs.remove(own, { recursive: true })
    }, Effect.scoped)

    const folders = yield* fs.readDirectory(folder)
    yield* Effect.forEach(folders, (own) => Effect.ignore(removeIfDead(paths.join(folder, own))), { discard: true })
  },
  (work) => Effect.ignore(work),
)

/** Removes a folder, if nothing is in it. */
export const removeEmpty = (folder: string) => Effect.ignore(Effect.tryPromise(() => rmdir(folder)))

/** Fails unless the folder is ours alone, and nobody else can put another in its place. */
export const checkFolder = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const us = process.getuid?.() ?? root
  const unavailable = (why: string) => new SocketUnavailable({ path, why })

  /** Nobody but us, or root, can put something else in the place of what is in there. */
  const isOutOfReach = ({ gid, mode, uid }: FileSystem.File.Info) => {
    const owner = Option.getOrElse(uid, () => us)
    if (owner !== us && owner !== root && owner !== unmapped) return false
    // Many systems give each user a group of the same number, with nobody else in it.
    const isPrivateGroup = owner === us && us !== root && Option.contains(gid, us)
    return (mode & isSticky) !== 0 || (mode & (isPrivateGroup ? 0o002 : groupOrOthersMayWrite)) === 0
  }

  const unreadable = () => unavailable("its folder cannot be read")
  const checkParents = Effect.fnUntraced(function* (folder: string) {
    const named = ancestors(paths, folder)
    const real = ancestors(paths, yield* Effect.mapError(fs.realPath(folder), unreadable))
    for (const parent of new Set([...named, ...real])) {
      const info = yield* Effect.mapError(fs.lstat(parent), unreadable)
      // The mode of a link means nothing; where it leads is among the real ones.
      const isSafe = isOutOfReach(info.type === "SymbolicLink" ? { ...info, mode: 0 } : info)
      if (!isSafe) return yield* unavailable(`others may change ${parent}, where its folder is; choose another place`)
    }
  })

  const folder = paths.dirname(path)
  const info = yield* fs.lstat(folder).pipe(Effect.mapError(unreadable))
  if (info.type !== "Directory") return yield* unavailable("its folder is not a real folder")
  if (!Option.contains(info.uid, us)) return yield* unavailable("its folder is not yours")
  if ((info.mode & groupOrOthersMayDoAnything) !== 0) {
    return yield* unavailable(
      "others may enter its folder; choose one of its own, which is made for you, like /tmp/my-tokenkeep/host.sock",
    )
  }
  yield* checkParents(folder)
})

/**
 * Makes the folder if there is none, sees to it that a socket can be bound at the path, and keeps other servers from it
 * while the scope is open. Then nothing is left at the path.
 */
export const claim = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const tryLock = yield* KernelLock.make(process.platform)
  const unavailable = (why: string) => new SocketUnavailable({ path, why })

  const lockFile = lockOf(path)
  const lock = Effect.acquireRelease(
    Effect.gen(function* () {
      const handle = yield* Effect.tryPromise({
        try: () => open(lockFile, "a", 0o600),
        catch: () => unavailable("its folder cannot be written"),
      })
      const { nlink } = yield* Effect.promise(() => handle.stat())
      const isOurs = tryLock(handle.fd, "exclusive") === "held" && nlink > 0
      if (isOurs) return handle
      yield* Effect.promise(() => handle.close())
      return yield* unavailable("another tokenkeep is listening there")
    }),
    (handle) =>
      Effect.andThen(
        Effect.ignore(fs.remove(lockFile)),
        Effect.promise(() => handle.close()),
      ),
  )

  const removeDead = Effect.gen(function* () {
    const there = yield* fs.lstat(path).pipe(
      Effect.asSome,
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
      Effect.mapError(() => unavailable("what is there cannot be read")),
    )
    if (Option.isNone(there)) return
    if (there.value.type !== "Socket") return yield* unavailable("something that is not a socket is there")
    if (yield* isAlive(path)) return yield* unavailable("another tokenkeep is listening there")
    yield* fs.remove(path).pipe(Effect.mapError(() => unavailable("the dead socket there cannot be removed")))
  })

  if (Buffer.byteLength(path) > longestPath) {
    return yield* unavailable(`the path is longer than ${longestPath} bytes; choose a shorter one with --socket`)
  }
  const folder = paths.dirname(path)
  yield* fs
    .makeDirectory(folder, { recursive: true, mode: 0o700 })
    .pipe(Effect.mapError(() => unavailable("its folder cannot be made")))
  yield* checkFolder(path)
  yield* lock
  yield* removeDead
})

/** Begins to listen at a path: for our own user only unless `forOthers`, whose folder keeps out everybody else all the same. */
export const bind = (
  server: Server,
  { forOthers, path }: { readonly path: string; readonly forOthers: boolean },
): void => {
  // The socket is bound within this call, so the mask holds for its birth and for nothing else.
  const mask = process.umask(forOthers ? 0o111 : 0o177)
  server.listen(path)
  process.umask(mask)
}

/** The folders above a folder. */
const ancestors = (paths: Path.Path, folder: string): ReadonlyArray<string> => {
  const parent = paths.dirname(folder)
  return parent === folder ? [] : [parent, ...ancestors(paths, parent)]
}

/** Whether somebody answers at the socket. */
export const isAlive = (path: string) =>
  Effect.callback<boolean>((resume) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resume(Effect.succeed(true))
    })
    probe.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code !== "ECONNREFUSED")))
    return Effect.sync(() => probe.destroy())
  })
