/**
 * Makes the lines of a batch. To hash a line takes a tenth of the time that its request took; so when there are many, a
 * thread does it, and the one that answers requests goes on. It is started when it is first needed, which it never is on
 * most servers; where it cannot be had, the work is done here, in turns.
 */
import { Worker } from "node:worker_threads"
import { Effect, type Scope } from "effect"
import { type Body, chain, type Tip } from "../domain/AuditChain.ts"
import type { Block } from "./AuditBlock.ts"
import { growth, makeLines, type Noted, type Progress, sha256 } from "./AuditLines.ts"
import type { Order } from "./AuditLinesWorker.ts"

export interface Batch {
  readonly tip: Tip
  /** What comes first, and is not much. */
  readonly bodies: ReadonlyArray<Body>
  readonly block: Block
}

export interface Lines {
  readonly tip: Tip
  /** They are good until the next batch. */
  readonly bytes: Uint8Array
}

/** From so many on the thread makes them: with ten batches a second, about ten thousand requests a second. */
const many = 1_024

/** Lines that are made here before others get a turn: about a fifth of a millisecond. */
const linesPerTurn = 256

const leastSpace = 65_536

/** What it makes is garbage at once; left to itself, it would let a hundred megabytes of that gather. */
const resourceLimits = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 64 }

// Compiled, it has another name; nobody but us could tell.
const source = new URL(`./AuditLinesWorker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

const start = (): Worker => {
  const started = new Worker(source, { name: "tokenkeep audit", execArgv: [], resourceLimits })
  // It must not keep the process from ending; nor end it, by an error that nobody listens for.
  started.on("error", () => {}).unref()
  return started
}

/** To be asked for one batch after the other. The thread ends with the scope. */
export const make: Effect.Effect<(batch: Batch) => Effect.Effect<Lines>, never, Scope.Scope> = Effect.gen(function* () {
  let space = new SharedArrayBuffer(0)
  let worker: Worker | undefined
  let isUsable = true

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isUsable = false
      void worker?.terminate()
    }),
  )

  const here = Effect.fnUntraced(function* (noted: Noted, lines: Buffer, from: Progress) {
    let progress = from
    while (progress.done < noted.lines) {
      if (progress.done > 0) yield* Effect.yieldNow
      progress = makeLines(noted, lines, progress, linesPerTurn)
    }
    return progress
  })

  const there = (noted: Noted, from: Progress) =>
    Effect.callback<Progress, "failed">((resume) => {
      const thread = (worker ??= start())
      const take = (progress: Progress) => {
        thread.off("exit", fail)
        resume(Effect.succeed(progress))
      }
      const fail = () => {
        thread.off("message", take)
        isUsable = false
        resume(Effect.fail("failed"))
      }
      thread.once("message", take).once("exit", fail)
      const order: Order = { noted, lines: space, from }
      thread.postMessage(order, [])
    })

  return Effect.fnUntraced(function* ({ block, bodies, tip }: Batch) {
    let text = ""
    let end = tip
    for (const body of bodies) {
      const next = chain(sha256, end, body)
      text += `${next.line}\n`
      end = { seq: next.seq, hash: next.hash }
    }
    const needed = text.length + block.length + growth * block.lines
    if (space.byteLength < needed) space = new SharedArrayBuffer(Math.max(leastSpace, 2 * needed))
    const lines = Buffer.from(space)
    const from: Progress = { tip: end, done: 0, written: lines.write(text, 0, "latin1") }
    const { numbers, texts } = block
    const noted: Noted = { lines: block.lines, numbers, texts }
    const done = yield* isUsable && noted.lines >= many
      ? Effect.catch(there(noted, from), () => here(noted, lines, from))
      : here(noted, lines, from)
    return { tip: done.tip, bytes: lines.subarray(0, done.written) }
  })
})
