/**
 * What the server notes of every request, for the person whose tokens they are: see {@link AuditEntry}.
 *
 * Whoever serves a request only puts it in a queue. A fiber writes what has gathered, all at once, and returns to waiting
 * when it is on the disk: what a process that is killed has not written is what came in the last moment.
 */
import { Context, Duration, Effect, Fiber, type FileSystem, Layer, type Path, Semaphore } from "effect"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as AuditEntry from "../domain/AuditEntry.ts"
import { Block } from "./AuditBlock.ts"
import * as AuditFile from "./AuditFile.ts"

export interface Options {
  /** `required`: nothing is served that cannot be noted. */
  readonly mode: "on" | "required"
  /** When to begin a new file. Default: 16 MiB. */
  readonly maximumBytes?: number
  /** How many files are kept. Default: 8. */
  readonly keep?: number
  /** Requests that may wait to be written. Default: 65,536, of 20 bytes each and what is new in them. */
  readonly capacity?: number
}

/** How long requests gather before they are written. */
const gathering = Duration.millis(100)

/** As many are written without waiting for more, and at once at most. */
const batch = 8_192

/** When to try again to write what could not be written. */
const retryDelay = Duration.seconds(1)

/** A batch takes milliseconds, and another process may have the log locked for two seconds. After that it is trouble. */
const longestWrite = Duration.seconds(3)

/** How long the last lines may take when the server ends. */
const closingTime = Duration.seconds(3)

/** Requests that may be under way when no more may begin: 256 connections, 64 each. There is room for them. */
const underWay = 16_384

/** Notes requests. */
export class Audit extends Context.Service<
  Audit,
  {
    /** Notes a request; it returns at once, and never fails. */
    readonly record: (entry: AuditEntry.Entry) => void
    /** Whether requests may be served; not if they must be noted and cannot. */
    readonly mayServe: () => boolean
  }
>()("tokenkeep/server/Audit") {
  /** Notes nothing. */
  static readonly layerOff: Layer.Layer<Audit> = Layer.succeed(
    this,
    Audit.of({ record: () => {}, mayServe: () => true }),
  )

  /** In the audit folder. What is still in the queue when the scope closes is written then. */
  static readonly layerFile = (
    options: Options,
  ): Layer.Layer<Audit, never, BrokerConfig | FileSystem.FileSystem | Path.Path> =>
    Layer.effect(this, make(options)).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

const nobody = () => {}

const nothing = new Block(0)

const make = Effect.fnUntraced(function* ({
  capacity = 65_536,
  keep = 8,
  maximumBytes = 16 * 1024 * 1024,
  mode,
}: Options) {
  const { auditDirectory } = yield* BrokerConfig
  const { append, render } = yield* AuditFile.writer({ directory: auditDirectory, keep, maximumBytes })
  const isRequired = mode === "required"
  const most = isRequired ? capacity + underWay : capacity
  const writing = yield* Semaphore.make(1)

  let events: ReadonlyArray<AuditEntry.Event> = [{ event: "start", mode }]
  /** From the oldest to the newest; the newest is filled, and the oldest written, but never the same one. */
  const blocks: Array<Block> = []
  let filling: Block | undefined
  let spare: Block | undefined
  /** Requests that wait in the blocks. */
  let queued = 0
  let lost = 0
  let hasTrouble = false
  /** The fiber is woken when so many wait. */
  let enough = Number.POSITIVE_INFINITY
  let wake = nobody

  const record = (entry: AuditEntry.Entry): void => {
    if (queued >= most) {
      lost++
      return
    }
    if (filling === undefined || filling.isFull) {
      filling = spare ?? new Block(batch)
      spare = undefined
      blocks.push(filling)
    }
    filling.push(render.parts(AuditEntry.bounded(entry)))
    queued++
    if (queued >= enough) wake()
  }

  /** Returns when so many wait. */
  const waiting = (count: number) =>
    Effect.callback<void>((resume) => {
      const end = () => {
        enough = Number.POSITIVE_INFINITY
        wake = nobody
      }
      enough = count
      wake = () => {
        end()
        resume(Effect.void)
      }
      if (queued >= count) wake()
      return Effect.sync(end)
    })

  const fail = Effect.fnUntraced(function* (message: string) {
    const isNew = !hasTrouble
    hasTrouble = true
    if (!isNew) return
    yield* Effect.logError(
      `${message} ${isRequired ? "Nothing is served until it can be written." : "Requests are served all the same."}`,
    )
  })

  const succeed = (missing: number) =>
    Effect.suspend(() => {
      const wasInTrouble = hasTrouble
      hasTrouble = false
      if (missing > 0) return Effect.logWarning(`The audit log is written, but ${missing} requests are missing in it.`)
      return wasInTrouble ? Effect.logWarning("The audit log is written again; nothing is missing in it.") : Effect.void
    })

  /** Writes the oldest of what waits. Whether that worked. */
  const flush = Effect.gen(function* () {
    const missing = lost
    const said: ReadonlyArray<AuditEntry.Event> =
      missing === 0 ? events : [...events, { event: "lost", count: missing }]
    const [block = nothing] = blocks
    if (block === filling) filling = undefined
    render.forget()
    if (said.length + block.lines === 0) return true
    yield* append(said, block)
    if (block !== nothing) {
      blocks.shift()
      queued -= block.requests
      block.clear()
      spare = block
    }
    lost -= missing
    events = []
    yield* succeed(missing)
    return true
  }).pipe(
    Effect.catchTag("AuditUnavailable", ({ message }) => Effect.as(fail(message), false)),
    Effect.catchDefect((defect) =>
      Effect.logDebug(defect).pipe(
        Effect.andThen(fail("The audit log cannot be written: something unexpected happened inside.")),
        Effect.as(false),
      ),
    ),
    // Between writing lines and forgetting that they wait there must be no end.
    Effect.uninterruptible,
    writing.withPermit,
  )

  yield* flush

  const work = Effect.gen(function* () {
    if (hasTrouble) yield* Effect.sleep(retryDelay)
    else {
      yield* waiting(1)
      yield* Effect.timeoutOption(waiting(batch), gathering)
    }
    const flushing = yield* Effect.forkDetach(flush)
    yield* Fiber.join(flushing).pipe(
      Effect.timeoutOrElse({
        duration: longestWrite,
        orElse: () => fail("The audit log cannot be written: its disk does not answer."),
      }),
    )
    yield* Fiber.join(flushing)
  })
  const close = Effect.fnUntraced(function* (fiber: Fiber.Fiber<never>) {
    yield* Fiber.interrupt(fiber)
    let isDone = yield* flush
    while (isDone && blocks.length > 0) isDone = yield* flush
    if (isDone) {
      events = [{ event: "stop" }]
      yield* flush
    }
    const count = queued + lost
    if (count > 0) yield* Effect.logError(`${count} requests were served, and are not in the audit log.`)
  })
  // Not a fiber of the scope, which would wait for a batch under way however long that takes.
  yield* Effect.acquireRelease(Effect.forkDetach(Effect.forever(work)), (fiber) =>
    Effect.forkDetach(close(fiber)).pipe(
      // A disk that does not answer must not keep the server from ending: it is waited for, but not for ever.
      Effect.flatMap((closing) => Effect.interruptible(Fiber.join(closing))),
      Effect.timeoutOrElse({
        duration: closingTime,
        orElse: () => Effect.logError("The audit log could not be closed in time: its last lines may be missing."),
      }),
    ),
  )

  return Audit.of({ record, mayServe: () => !isRequired || (!hasTrouble && queued < capacity) })
})
