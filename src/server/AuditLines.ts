/**
 * Makes lines of the audit log out of what was noted in a block. It imports as little as it can: a thread of its own runs
 * it when there is much to do.
 */
import { hash } from "node:crypto"
import { chain, type Sha256, type Tip } from "../domain/AuditChain.ts"

export const sha256: Sha256 = (text) => hash("sha256", text, "hex")

/** Requests as they are in a block. */
export interface Noted {
  readonly numbers: Int32Array<SharedArrayBuffer>
  readonly lines: number
  readonly texts: ReadonlyArray<string>
}

/** How far it has come. */
export interface Progress {
  readonly tip: Tip
  /** So many lines have been made. */
  readonly done: number
  /** Up to where the lines have been written. */
  readonly written: number
}

/** What a body may grow by when it becomes a line. */
export const growth = 128

/** Goes on where it was left, up to this many. `lines` must have room for them. */
export const makeLines = (
  { lines: count, numbers, texts }: Noted,
  lines: Buffer,
  { done, tip, written }: Progress,
  most: number,
): Progress => {
  const end = Math.min(count, done + most)
  let last = tip
  let at = written
  for (let i = done; i < end; i++) {
    const of = i * 5
    const [opening, who, what] = [numbers[of] ?? 0, numbers[of + 1] ?? 0, numbers[of + 2] ?? 0]
    const times = numbers[of + 4] ?? 1
    const body = `${texts[opening]}${texts[who]}${texts[what]}${numbers[of + 3]}${times === 1 ? "" : `,"count":${times}`}`
    const next = chain(sha256, last, body)
    at += lines.write(`${next.line}\n`, at, "latin1")
    last = next
  }
  return { tip: { seq: last.seq, hash: last.hash }, done: end, written: at }
}
