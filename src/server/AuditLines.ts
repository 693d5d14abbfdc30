/**
 * Makes lines of the audit log out of their bodies, from one memory into another. It imports as little as it can: a thread
 * of its own runs it when there is much to do.
 */
import { hash } from "node:crypto"
import { chain, type Sha256, type Tip } from "../domain/AuditChain.ts"

export const sha256: Sha256 = (text) => hash("sha256", text, "hex")

/** How far it has come. */
export interface Progress {
  readonly tip: Tip
  /** Up to where the bodies have been read. */
  readonly read: number
  /** Up to where the lines have been written. */
  readonly written: number
}

/** What a body may grow by when it becomes a line. */
export const growth = 128

/** Goes on where it was left, for so many lines at most. `lines` must have room for them. */
export const makeLines = (bodies: Buffer, lines: Buffer, from: Progress, most: number): Progress => {
  let { read, tip, written } = from
  for (let i = 0; i < most && read < bodies.length; i++) {
    const end = bodies.indexOf(10, read)
    const next = chain(sha256, tip, bodies.toString("latin1", read, end))
    written += lines.write(`${next.line}\n`, written, "latin1")
    read = end + 1
    tip = next
  }
  return { tip: { seq: tip.seq, hash: tip.hash }, read, written }
}
