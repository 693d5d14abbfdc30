/**
 * {@link AccountLock} across processes: the kernel's `flock` (flock(2)) on a lock file beside the account's file. It dies
 * with its holder, however that ends, so there is no such thing as a stale lock.
 *
 * The lock files of an account go with its login. Whoever was waiting for one that is gone notices, and opens the new one.
 */
import { type FileHandle, open } from "node:fs/promises"
import { Effect, FileSystem, Layer, Option, Path } from "effect"
import { Digest } from "effect/crypto"
import type { AccountKey } from "../domain/AccountKey.ts"
import { LockBusy, StoreUnavailable } from "../domain/Errors.ts"
import * as FileName from "../system/FileName.ts"
import * as KernelLock from "../system/KernelLock.ts"
import { AccountLock, busyFor, type Purpose } from "./AccountLock.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

export const layer = Layer.effect(
  AccountLock,
  Effect.gen(function* () {
    const { accountsDirectory, lockPatience } = yield* BrokerConfig
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const digest = yield* Digest.Digest
    const tryLock = yield* KernelLock.make(process.platform)
    const waiting = KernelLock.waiting(lockPatience)

    const fileOf = Effect.fnUntraced(
      function* (account: AccountKey, purpose: Purpose) {
        const folder = paths.join(accountsDirectory, yield* FileName.encode(account.provider))
        const bucket = yield* FileName.encode(account.bucket)
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
        const result = tryLock(handle.fd, "exclusive")
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
        tryLock(descriptor, "exclusive") === "held" ? Effect.as(work, true) : Effect.succeed(false),
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
          Effect.sync(() => tryLock(descriptor, "shared") === "busy"),
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
