/**
 * Requests that wait to be written into the audit log. Those that follow each other are much alike: a line is five numbers,
 * three of them say which texts it is made of, and one how many requests it stands for, between which there is no
 * difference. So noting one takes no time to speak of, and many take little memory: as objects, or texts in a queue, they
 * gave the garbage collector more to do than all the rest of the log.
 */
import type { Body, Parts } from "../domain/AuditEntry.ts"

/** Numbers per line: of the texts, the time it took, and how many requests they are. */
const width = 5

/** The largest number there is room for: half an hour. */
const longestMicros = 2 ** 31 - 1

export class Block {
  readonly #numbers: Int32Array
  #lines = 0
  #requests = 0
  #texts: Array<string> = []
  readonly #indexes = new Map<string, number>()
  #opening = ""
  #openingIndex = -1
  #who = ""
  #whoIndex = -1
  #what = ""
  #whatIndex = -1

  /** With room for so many lines; what none has reached yet costs no memory. */
  constructor(capacity: number) {
    this.#numbers = new Int32Array(capacity * width)
  }

  get lines(): number {
    return this.#lines
  }

  get requests(): number {
    return this.#requests
  }

  get isFull(): boolean {
    return this.#lines * width >= this.#numbers.length
  }

  /** The body of a line. */
  bodyAt(line: number): Body {
    const at = line * width
    const [opening = 0, who = 0, what = 0, micros = 0, count = 1] = this.#numbers.subarray(at, at + width)
    const texts = this.#texts
    return `${texts[opening]}${texts[who]}${texts[what]}${micros}${count === 1 ? "" : `,"count":${count}`}`
  }

  /** Takes one more; there must be room. */
  push({ micros, opening, what, who }: Parts): void {
    const numbers = this.#numbers
    const taken = Math.min(micros, longestMicros)
    const last = (this.#lines - 1) * width
    this.#requests++
    if (opening === this.#opening && who === this.#who && what === this.#what && numbers[last + 3] === taken) {
      numbers[last + 4] = (numbers[last + 4] ?? 0) + 1
      return
    }
    if (opening !== this.#opening) this.#openingIndex = this.#indexOf((this.#opening = opening))
    if (who !== this.#who) this.#whoIndex = this.#indexOf((this.#who = who))
    if (what !== this.#what) this.#whatIndex = this.#indexOf((this.#what = what))
    const at = this.#lines++ * width
    numbers[at] = this.#openingIndex
    numbers[at + 1] = this.#whoIndex
    numbers[at + 2] = this.#whatIndex
    numbers[at + 3] = taken
    numbers[at + 4] = 1
  }

  clear(): void {
    this.#lines = 0
    this.#requests = 0
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
