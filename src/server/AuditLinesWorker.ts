/**
 * A thread that makes lines of the audit log: see {@link AuditChainer}.
 */
import { parentPort } from "node:worker_threads"
import { makeLines, type Progress } from "./AuditLines.ts"

/** What is to be done. It is answered with the {@link Progress} that was made. */
export interface Order {
  readonly bodies: SharedArrayBuffer
  readonly used: number
  readonly lines: SharedArrayBuffer
  readonly from: Progress
}

parentPort?.on("message", ({ bodies, from, lines, used }: Order) => {
  const made = makeLines(Buffer.from(bodies, 0, used), Buffer.from(lines), from, Number.POSITIVE_INFINITY)
  parentPort?.postMessage(made, [])
})
