/**
 * What is to be done when: a heap of due times, with one entry for each key. Scheduling is O(log n).
 *
 * The entries are kept in columns, which takes half the memory of objects, and the heap knows where each of them is, so
 * that none is left behind when it is replaced or removed. All times are epoch milliseconds.
 */

/** One thing to do. */
export interface Entry {
  readonly key: string
  readonly due: number
  readonly expiresAt: number
  /** How often it was tried in vain. */
  readonly failures: number
}

export class Agenda {
  /** The row of each key. */
  readonly #rows = new Map<string, number>()
  readonly #keys: Array<string> = []
  #due = new Float64Array()
  #expiresAt = new Float64Array()
  #failures = new Uint32Array()
  /** Every row once: first the heap, earliest on top, then the rows that are free. */
  #heap = new Uint32Array()
  /** The place of each row in the heap. */
  #places = new Uint32Array()

  /** How many keys have an entry. */
  get size(): number {
    return this.#rows.size
  }

  get(key: string): Entry | undefined {
    const row = this.#rows.get(key)
    return row === undefined ? undefined : this.#entry(row)
  }

  /** Adds the entry, in place of the one that its key has. */
  set({ due, expiresAt, failures, key }: Entry): void {
    const row = this.#rows.get(key) ?? this.#open(key)
    this.#due[row] = due
    this.#expiresAt[row] = expiresAt
    this.#failures[row] = failures
    this.#settle(at(this.#places, row))
  }

  remove(key: string): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    this.#rows.delete(key)
    this.#keys[row] = ""
    const place = at(this.#places, row)
    this.#swap(place, this.size)
    if (place < this.size) this.#settle(place)
  }

  /** When the next entry is due. */
  nextDue(): number | undefined {
    return this.size === 0 ? undefined : this.#dueAt(0)
  }

  /** Takes out what is due at `now`, earliest first, and no more than `limit` of it. */
  takeDue(now: number, limit: number): ReadonlyArray<Entry> {
    const taken: Array<Entry> = []
    while (this.size > 0 && this.#dueAt(0) <= now && taken.length < limit) {
      const entry = this.#entry(at(this.#heap, 0))
      this.remove(entry.key)
      taken.push(entry)
    }
    return taken
  }

  /** Moves everything by so many milliseconds. */
  shift(by: number): void {
    this.#due = this.#due.map((due) => due + by)
  }

  #entry(row: number): Entry {
    return {
      key: this.#keys[row] ?? "",
      due: at(this.#due, row),
      expiresAt: at(this.#expiresAt, row),
      failures: at(this.#failures, row),
    }
  }

  /** A free row for the key. Its place is the one behind the heap, which thereby becomes the last of the heap. */
  #open(key: string): number {
    if (this.size === this.#heap.length) this.#grow()
    const row = at(this.#heap, this.size)
    this.#rows.set(key, row)
    this.#keys[row] = key
    return row
  }

  #grow(): void {
    const length = Math.ceil(this.size * growth) + 16
    const before = this.#heap
    this.#heap = Uint32Array.from({ length }, (_, place) => before[place] ?? place)
    this.#places = extended(this.#places, new Uint32Array(length))
    for (let row = this.size; row < length; row++) this.#places[row] = row
    this.#due = extended(this.#due, new Float64Array(length))
    this.#expiresAt = extended(this.#expiresAt, new Float64Array(length))
    this.#failures = extended(this.#failures, new Uint32Array(length))
  }

  #dueAt(place: number): number {
    return at(this.#due, at(this.#heap, place))
  }

  /** Moves what is at this place up or down, to where it belongs. */
  #settle(start: number): void {
    let place = start
    for (let above = (place - 1) >> 1; place > 0 && this.#dueAt(place) < this.#dueAt(above); above = (place - 1) >> 1) {
      this.#swap(place, above)
      place = above
    }
    for (let below = this.#earlierBelow(place); below < this.size; below = this.#earlierBelow(place)) {
      if (this.#dueAt(place) <= this.#dueAt(below)) return
      this.#swap(place, below)
      place = below
    }
  }

  #earlierBelow(place: number): number {
    const left = 2 * place + 1
    return left + 1 < this.size && this.#dueAt(left + 1) < this.#dueAt(left) ? left + 1 : left
  }

  #swap(one: number, other: number): void {
    const row = at(this.#heap, one)
    const otherRow = at(this.#heap, other)
    this.#heap[one] = otherRow
    this.#heap[other] = row
    this.#places[otherRow] = one
    this.#places[row] = other
  }
}

/** When the columns are full they become longer by this factor: what is free for a while costs memory. */
const growth = 1.5

const at = (column: Float64Array | Uint32Array, index: number): number => column[index] ?? 0

const extended = <Column extends Float64Array | Uint32Array>(column: Column, longer: Column): Column => {
  longer.set(column)
  return longer
}
