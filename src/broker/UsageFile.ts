/**
 * {@link Usage} in a file, which other processes may share: each adds what it has counted to what is there, every 30 s and
 * at its end. Counts are worth less than the work that is counted, so nothing that happens to the file stops anything: what
 * cannot be read is counted anew, what cannot be written is kept and tried again, and the log says so.
 */
import { open } from "node:fs/promises"
import { Clock, Duration, Effect, FileSystem, Layer, Option, Path, Schema, Semaphore } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import { BucketName, ProviderName } from "../domain/AccountKey.ts"
import * as BucketUsage from "../domain/BucketUsage.ts"
import { StoreUnavailable } from "../domain/Errors.ts"
import { oneLine } from "../domain/RemoteText.ts"
import * as FileReading from "../system/FileReading.ts"
import * as KernelLock from "../system/KernelLock.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { Usage } from "./Usage.ts"

/** How often counts are saved. What a process that is killed has counted since then is lost. */
const saving = Duration.seconds(30)

/** How long another process may take to add its counts; after that it is for the next time. */
const lockPatience = Duration.seconds(2)

/** Accounts that are remembered: a peer may make any number, and each costs memory here and in every write. */
const most = 10_000

const WholeNumber = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

// A list and no record: an account may be called `__proto__`.
export const File = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.Literal(1),
    accounts: Schema.Array(
      Schema.Struct({ provider: ProviderName, bucket: BucketName, requests: WholeNumber, lastUsed: WholeNumber }),
    ),
  }),
)
const decode = Schema.decodeUnknownEffect(File)
const encode = Schema.encodeEffect(File)

export const layer = Layer.effect(
  Usage,
  Effect.gen(function* () {
    const { usageFile } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const known = yield* FileReading.make
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const clock = yield* Clock.Clock
    const kernelLock = yield* Effect.cached(KernelLock.make(process.platform))
    const turn = yield* Semaphore.make(1)

    let unsaved: BucketUsage.Usage = new Map()
    let reading = Option.none<FileReading.FileReading<BucketUsage.Usage>>()
    let hasTrouble = false

    const read = Effect.gen(function* () {
      const usage: BucketUsage.Usage = new Map()
      const content = yield* files.read(usageFile)
      if (Option.isNone(content)) return usage
      const { accounts } = yield* decode(content.value)
      for (const { bucket, provider, ...uses } of accounts) BucketUsage.count(usage, provider, bucket, uses)
      return usage
    }).pipe(
      Effect.catchTag("SchemaError", () =>
        Effect.as(
          Effect.logWarning(
            `The file ${oneLine(usageFile)} is damaged. Requests are counted anew; nothing else is lost.`,
          ),
          new Map(),
        ),
      ),
    )

    const complain = ({ message }: StoreUnavailable) => {
      const isNew = !hasTrouble
      hasTrouble = true
      return isNew
        ? Effect.logWarning(`Requests are counted, but the counts cannot be kept or read. ${message}`)
        : Effect.void
    }

    /** Lets one process at a time change the file. */
    const exclusively = <A>(work: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, StoreUnavailable> => {
      const path = `${usageFile}.lock`
      const unavailable = () => StoreUnavailable.make({ path, operation: "write" })
      return Effect.acquireUseRelease(
        fs
          .makeDirectory(paths.dirname(path), { recursive: true, mode: 0o700 })
          .pipe(Effect.andThen(Effect.tryPromise(() => open(path, "a", 0o600))), Effect.mapError(unavailable)),
        ({ fd }) =>
          Effect.flatMap(kernelLock, (tryLock) =>
            Effect.suspend(() => (tryLock(fd, "exclusive") === "held" ? Effect.void : Effect.fail(unavailable()))).pipe(
              Effect.retry(KernelLock.waiting(lockPatience)),
              Effect.andThen(work),
            ),
          ),
        (handle) => Effect.promise(() => handle.close()),
      )
    }

    const save = Effect.suspend(() => {
      if (unsaved.size === 0) return Effect.void
      const counted = unsaved
      unsaved = new Map()
      return exclusively(
        Effect.gen(function* () {
          const accounts = BucketUsage.accountsOf(BucketUsage.sum(yield* read, counted, most))
          yield* files.write(usageFile, yield* Effect.orDie(encode({ version: 1, accounts })))
          known.changed()
          hasTrouble = false
          yield* files.removeLeftovers(usageFile)
        }),
      ).pipe(
        Effect.catch((error) => {
          unsaved = BucketUsage.sum(unsaved, counted, most)
          return complain(error)
        }),
      )
    }).pipe(
      // While counts are on their way they are neither here nor there.
      turn.withPermit,
      Effect.uninterruptible,
    )

    const saved = Effect.gen(function* () {
      if (Option.isSome(reading) && known.isCurrent(reading.value)) return reading.value.value
      const now = yield* known.read(usageFile, read)
      reading = now.reading
      return now.value
    }).pipe(Effect.catch((error) => Effect.as(complain(error), new Map<string, BucketUsage.ProviderUsage>())))

    yield* Effect.addFinalizer(() => save)
    yield* Effect.forkScoped(Effect.forever(Effect.delay(save, saving)))

    return {
      count: ({ bucket, provider }: AccountKey) =>
        BucketUsage.count(unsaved, provider, bucket, { requests: 1, lastUsed: clock.currentTimeMillisUnsafe() }),
      of: Effect.fnUntraced(function* (provider: string) {
        const before = (yield* saved).get(provider) ?? new Map<string, BucketUsage.Uses>()
        const since = unsaved.get(provider) ?? new Map<string, BucketUsage.Uses>()
        const both = BucketUsage.sum(new Map([[provider, before]]), new Map([[provider, since]]), most)
        return both.get(provider) ?? new Map<string, BucketUsage.Uses>()
      }, turn.withPermit),
    }
  }),
)
