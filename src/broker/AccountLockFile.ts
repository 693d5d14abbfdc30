/**
 * {@link AccountLock} across processes: the kernel's `flock` (flock(2)) on a lock file beside the account's file. It dies
 * with its holder, however that ends, so there is no such thing as a stale lock.
 *
 * The lock files of an account go with its login. Whoever was waiting for one that is gone notices, and opens the new one.
 */
import { type FileHandle, open } from "node:fs/promises"
import { Duration, Effect, FileSystem, Layer, Option, Path, Schedule } from "effect"
import { Digest } from "effect/crypto"
import type { AccountKey } from "../domain/AccountKey.ts"
import { LockBusy, StoreUnavailable } from "../domain/Errors.ts"
import * as AccountFileName from "./AccountFileName.ts"
import { AccountLock, busyFor, type Purpose } from "./AccountLock.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

const longestPause = Duration.millis(50)

/** How often a busy lock is tried: soon at first, because most are held for moments, then every 50 ms. */
const polling = Schedule.exponential("2 millis", 1.5).pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestPause))),
  Schedule.jittered,
)

export const layer = Layer.effect(
  AccountLock,
  Effect.gen(function* () {
    const { accountsDirectory, lockPatience } = yield* BrokerConfig
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const digest = yield* Digest.Digest
    const tryLock = yield* kernelLock(process.platform)
    // Tries are counted, not time: a clock that is set must neither shorten the wait nor draw it out.
    const waiting = Schedule.upTo(polling, {
      times: Math.ceil(Duration.toMillis(lockPatience) / Duration.toMillis(longestPause)),
    })

    const fileOf = Effect.fnUntraced(
      function* (account: AccountKey, purpose: Purpose) {
        const folder = paths.join(accountsDirectory, yield* AccountFileName.encode(account.provider))
        const bucket = yield* AccountFileName.encode(account.bucket)
        return { folder, path: paths.join(folder, `${bucket}.${purpose}.lock`) }
      },
      Effect.provideService(Digest.Digest, digest),
    )

    const openLock = Effect.fnUntraced(function* ({
      folder,
      path,
    }: {
      readonly folder: string
      readonly path: string
    }) {
      const unavailable = () => StoreUnavailable.make({ path, operation: "write" })
      yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true, mode: 0o700 }), unavailable)
      return yield* Effect.tryPromise({ try: () => open(path, "a", 0o600), catch: unavailable })
    })

    /** Waits for the lock. Whether its file is still there: the holder before may have removed it. */
    const obtain = Effect.fnUntraced(function* (handle: FileHandle, account: AccountKey, path: string) {
      const attempt = Effect.suspend((): Effect.Effect<void, LockBusy | StoreUnavailable> => {
        const result = tryLock(handle.fd, LOCK_EX)
        if (result === "held") return Effect.void
        return result === "busy"
          ? Effect.fail(LockBusy.make({ account, retryAfter: busyFor }))
          : Effect.fail(StoreUnavailable.make({ path, operation: "write" }))
      })
      yield* Effect.retry(attempt, { schedule: waiting, while: ({ _tag }) => _tag === "LockBusy" })
      const { nlink } = yield* Effect.promise(() => handle.stat())
      return nlink > 0
    })

    const withLock = <A, E, R>(
      account: AccountKey,
      purpose: Purpose,
      work: Effect.Effect<A, E, R>,
    ): Effect.Effect<A, E | LockBusy | StoreUnavailable, R> =>
      Effect.flatMap(fileOf(account, purpose), (file) =>
        Effect.acquireUseRelease(
          openLock(file),
          (handle) =>
            Effect.flatMap(obtain(handle, account, file.path), (isThere) =>
              isThere ? Effect.asSome(work) : Effect.succeedNone,
            ),
          close,
        ),
      ).pipe(
        Effect.flatMap(
          Option.match({
            onNone: () => Effect.suspend(() => withLock(account, purpose, work)),
            onSome: Effect.succeed,
          }),
        ),
      )

    const whileFree = (path: string, work: Effect.Effect<void>) =>
      withDescriptor(path, (descriptor) =>
        tryLock(descriptor, LOCK_EX) === "held" ? Effect.as(work, true) : Effect.succeed(false),
      )

    return AccountLock.of({
      withLock: (account, purpose) => (work) => withLock(account, purpose, work),
      forget: Effect.fnUntraced(function* (account) {
        const refresh = yield* fileOf(account, "refresh")
        const record = yield* fileOf(account, "record")
        // The lock of a refresh that is under way stays: whoever takes a new one believes that the old holder is dead.
        yield* whileFree(refresh.path, Effect.ignore(fs.remove(refresh.path)))
        yield* Effect.ignore(fs.remove(record.path))
      }),
      isHeld: Effect.fnUntraced(function* (account, purpose) {
        const { path } = yield* fileOf(account, purpose)
        return yield* withDescriptor(path, (descriptor) =>
          // Shared, so that two who look at the same time do not take each other for a holder.
          Effect.sync(() => tryLock(descriptor, LOCK_SH) === "busy"),
        )
      }),
    })
  }),
)

/** The lock goes with the descriptor. */
const close = (handle: FileHandle) => Effect.promise(() => handle.close())

/** What `look` says of a lock file; false if there is none, or it cannot be looked at. */
const withDescriptor = (path: string, look: (descriptor: number) => Effect.Effect<boolean>) =>
  Effect.acquireUseRelease(
    Effect.tryPromise(() => open(path, "r")),
    ({ fd }) => look(fd),
    close,
  ).pipe(Effect.orElseSucceed(() => false))

type TryLock = (descriptor: number, kind: typeof LOCK_SH | typeof LOCK_EX) => "held" | "busy" | "failed"

// <sys/file.h>; the same on Linux and macOS.
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

const libraries: { readonly [platform: string]: string } = { linux: "libc.so.6", darwin: "libSystem.B.dylib" }

const kernelLock = Effect.fnUntraced(function* (platform: NodeJS.Platform): Effect.fn.Return<TryLock> {
  const library = libraries[platform]
  if (library === undefined) {
    yield* Effect.logWarning(
      "This operating system has no flock, so processes cannot be kept apart. Let one process do all refreshing.",
    )
    return () => "held"
  }
  const { default: koffi } = yield* Effect.promise(() => import("koffi"))
  const flock = koffi.load(library).func("int flock(int fd, int operation)")
  const { EAGAIN, EINTR, EWOULDBLOCK } = koffi.os.errno
  const busy = new Set([EAGAIN, EINTR, EWOULDBLOCK])
  return (descriptor, kind) => {
    if (flock(descriptor, kind | LOCK_NB) === 0) return "held"
    return busy.has(koffi.errno()) ? "busy" : "failed"
  }
})
