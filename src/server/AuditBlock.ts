/**
 * Bodies of lines of the audit log that wait to be written. They are bytes in memory that is used again and again, and that
 * a thread can read: as texts in a queue they would give the garbage collector more to do than all the rest of the log.
 */
import type { Body } from "../domain/AuditChain.ts"

/** What the bodies of a block may come to; memory that no body has reached yet costs nothing. */
const usualSize = 2 * 1024 * 1024

export class Block {
  /** Bodies in ASCII, each with a line end. */
  readonly bytes: Buffer<SharedArrayBuffer>
  #used = 0
  #count = 0

  constructor(size = usualSize) {
    this.bytes = Buffer.from(new SharedArrayBuffer(size))
  }

  /** So many bytes of it are bodies. */
  get used(): number {
    return this.#used
  }

  /** How many bodies there are. */
  get count(): number {
    return this.#count
  }

  /** Takes a body, if there is room for it. */
  push(body: Body): boolean {
    if (this.#used + body.length >= this.bytes.length) return false
    this.#used += this.bytes.write(`${body}\n`, this.#used, "latin1")
    this.#count++
    return true
  }

  clear(): void {
    this.#used = 0
    this.#count = 0
  }
}
