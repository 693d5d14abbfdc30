/**
 * A thread that makes lines of the audit log: see {@link AuditChainer}.
 */
import { parentPort } from "node:worker_threads"
import { makeLines, type Noted, type Progress } from "./AuditLines.ts"

/** What is to be done. It is answered with the {@link Progress} that was made. */
export interface Order {
  readonly noted: Noted
  readonly lines: SharedArrayBuffer
  readonly from: Progress
}

parentPort?.on("message", ({ from, lines, noted }: Order) => {
  parentPort?.postMessage(makeLines(noted, Buffer.from(lines), from, noted.lines), [])
})
