/**
 * What is to be done when: a heap of due times, with one entry for each key. Scheduling is O(log n).
 *
 * An entry that was replaced or removed stays in the heap until its time comes, or until such entries are the majority and
 * the heap is built anew. All times are epoch milliseconds.
 */
import TinyQueue from "tinyqueue"

/** One thing to do. */
export interface Entry {
  readonly key: string
  due: number
  readonly expiresAt: number
  /** How often it was tried in vain. */
  readonly failures: number
}

export class Agenda {
  readonly #entries = new Map<string, Entry>()
  #heap = new TinyQueue<Entry>([], byDue)

  /** How many keys have an entry. */
  get size(): number {
    return this.#entries.size
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Adds the entry, in place of the one that its key has. */
  set(entry: Entry): void {
    this.#entries.set(entry.key, entry)
    this.#heap.push(entry)
    if (this.#heap.length > 2 * this.#entries.size + slack) this.#rebuild()
  }

  remove(key: string): void {
    this.#entries.delete(key)
  }

  /** When the next entry is due. */
  nextDue(): number | undefined {
    for (let entry = this.#heap.peek(); entry !== undefined; entry = this.#heap.peek()) {
      if (this.#isCurrent(entry)) return entry.due
      this.#heap.pop()
    }
    return undefined
  }

  /** Takes out what is due at `now`, earliest first, and no more than `limit` of it. */
  takeDue(now: number, limit: number): ReadonlyArray<Entry> {
    const taken: Array<Entry> = []
    for (let due = this.nextDue(); due !== undefined && due <= now && taken.length < limit; due = this.nextDue()) {
      const entry = this.#heap.pop()
      if (entry === undefined) break
      this.#entries.delete(entry.key)
      taken.push(entry)
    }
    return taken
  }

  /** Moves everything by so many milliseconds. */
  shift(by: number): void {
    for (const entry of this.#entries.values()) entry.due += by
    this.#rebuild()
  }

  #isCurrent(entry: Entry): boolean {
    return this.#entries.get(entry.key) === entry
  }

  #rebuild(): void {
    this.#heap = new TinyQueue([...this.#entries.values()], byDue)
  }
}

/** So many outdated entries are not worth a rebuild. */
const slack = 64

const byDue = (one: Entry, other: Entry): number => one.due - other.due
