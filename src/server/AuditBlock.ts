/**
 * Requests that wait to be written into the audit log. Those that follow each other are much alike: each is four numbers,
 * three of them say which texts it is made of. So noting one takes no time to speak of, many take little memory, and a
 * thread can read them where they are.
 */
import type { Parts } from "../domain/AuditEntry.ts"

/** Numbers per request. */
export const width = 4

/** The largest number there is room for, of 10 digits: half an hour. */
const longestMicros = 2 ** 31 - 1

export class Block {
  readonly numbers: Int32Array<SharedArrayBuffer>
  /** What the bodies of its lines may come to, in bytes. */
  length = 0
  #count = 0
  #texts: Array<string> = []
  readonly #indexes = new Map<string, number>()
  #opening = ""
  #openingIndex = -1
  #who = ""
  #whoIndex = -1
  #what = ""
  #whatIndex = -1

  /** With room for so many requests; what none has reached yet costs no memory. */
  constructor(capacity: number) {
    this.numbers = new Int32Array(new SharedArrayBuffer(capacity * width * Int32Array.BYTES_PER_ELEMENT))
  }

  /** How many there are. */
  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count * width >= this.numbers.length
  }

  /** The texts that they are made of. */
  get texts(): ReadonlyArray<string> {
    return this.#texts
  }

  /** Takes one more; there must be room. */
  push({ micros, opening, what, who }: Parts): void {
    if (opening !== this.#opening) this.#openingIndex = this.#indexOf((this.#opening = opening))
    if (who !== this.#who) this.#whoIndex = this.#indexOf((this.#who = who))
    if (what !== this.#what) this.#whatIndex = this.#indexOf((this.#what = what))
    const at = this.#count++ * width
    this.numbers[at] = this.#openingIndex
    this.numbers[at + 1] = this.#whoIndex
    this.numbers[at + 2] = this.#whatIndex
    this.numbers[at + 3] = Math.min(micros, longestMicros)
    this.length += opening.length + who.length + what.length + 10
  }

  clear(): void {
    this.length = 0
    this.#count = 0
    this.#texts = []
    this.#indexes.clear()
    this.#opening = this.#who = this.#what = ""
  }

  #indexOf(text: string): number {
    const known = this.#indexes.get(text)
    if (known !== undefined) return known
    const index = this.#texts.push(text) - 1
    this.#indexes.set(text, index)
    return index
  }
}
