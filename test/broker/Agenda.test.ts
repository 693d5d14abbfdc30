import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Agenda, type Entry } from "../../src/broker/Agenda.ts"

/** What an agenda is, said as simply as it can be. */
class Model {
  entries: ReadonlyArray<Entry> = []

  get(key: string): Entry | undefined {
    return this.entries.find((entry) => entry.key === key)
  }

  set(entry: Entry): void {
    this.entries = [...this.entries.filter(({ key }) => key !== entry.key), entry]
  }

  remove(key: string): void {
    this.entries = this.entries.filter((entry) => entry.key !== key)
  }

  nextDue(): number | undefined {
    return this.entries.length === 0 ? undefined : Math.min(...this.entries.map(({ due }) => due))
  }

  shift(by: number): void {
    this.entries = this.entries.map((entry) => ({ ...entry, due: entry.due + by }))
  }
}

const entryOf = (key: string, due: number): Entry => ({ key, due, expiresAt: due + 300, failures: 0 })

/** Few keys and times, so that they meet. */
const key = fc.nat(40).map(String)
const time = fc.integer({ min: -50, max: 50 })

const command = fc.oneof(
  {
    arbitrary: fc.record({ _tag: fc.constant("set"), key, due: time, expiresAt: time, failures: fc.nat(9) }),
    weight: 5,
  },
  { arbitrary: fc.record({ _tag: fc.constant("remove"), key }), weight: 2 },
  { arbitrary: fc.record({ _tag: fc.constant("takeDue"), now: time, limit: fc.nat(5) }), weight: 1 },
  { arbitrary: fc.record({ _tag: fc.constant("shift"), by: time }), weight: 1 },
)

/** Does the same to both, and compares what they say. */
const check = (commands: ReadonlyArray<typeof command extends fc.Arbitrary<infer A> ? A : never>) => {
  const agenda = new Agenda()
  const model = new Model()
  for (const command of commands) {
    if ("by" in command) {
      agenda.shift(command.by)
      model.shift(command.by)
    } else if ("now" in command) {
      const taken = agenda.takeDue(command.now, command.limit)
      const due = model.entries.filter((entry) => entry.due <= command.now)
      assert.strictEqual(taken.length, Math.min(due.length, command.limit))
      const times = taken.map((entry) => entry.due)
      assert.deepStrictEqual(
        times,
        due
          .map((entry) => entry.due)
          .toSorted((one, other) => one - other)
          .slice(0, taken.length),
      )
      for (const entry of taken) {
        assert.deepStrictEqual(entry, model.get(entry.key))
        model.remove(entry.key)
      }
    } else if ("due" in command) {
      const { _tag: _, ...entry } = command
      agenda.set(entry)
      model.set(entry)
    } else {
      agenda.remove(command.key)
      model.remove(command.key)
    }
    assert.strictEqual(agenda.size, model.entries.length)
    assert.strictEqual(agenda.nextDue(), model.nextDue())
  }
  for (let i = 0; i <= 40; i++) assert.deepStrictEqual(agenda.get(String(i)), model.get(String(i)))
  const rest = agenda.takeDue(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  assert.sameDeepMembers([...rest], [...model.entries])
  assert.strictEqual(agenda.size, 0)
}

describe("an agenda", () => {
  it("does what a list would do, in whatever order it is asked", () => {
    fc.assert(fc.property(fc.array(command, { maxLength: 200 }), check), { numRuns: 2000 })
  })

  it("is empty at first", () => {
    const agenda = new Agenda()
    assert.strictEqual(agenda.size, 0)
    assert.isUndefined(agenda.nextDue())
    assert.isUndefined(agenda.get("a"))
    assert.deepStrictEqual(agenda.takeDue(Number.POSITIVE_INFINITY, 10), [])
    agenda.remove("a")
  })

  it("gives what is due, earliest first, at that very millisecond and not before", () => {
    const agenda = new Agenda()
    for (const due of [30, 10, 20]) agenda.set(entryOf(String(due), due))
    assert.deepStrictEqual(agenda.takeDue(9, 10), [])
    assert.deepStrictEqual(
      agenda.takeDue(20, 10).map((entry) => entry.due),
      [10, 20],
    )
    assert.strictEqual(agenda.nextDue(), 30)
  })

  it("has one entry for a key, the one that was set last", () => {
    const agenda = new Agenda()
    for (const due of [10, 50, 30]) agenda.set(entryOf("a", due))
    assert.strictEqual(agenda.size, 1)
    assert.strictEqual(agenda.nextDue(), 30)
    assert.deepStrictEqual(agenda.takeDue(100, 10), [entryOf("a", 30)])
    assert.deepStrictEqual(agenda.takeDue(100, 10), [])
  })

  it("takes times that have no end, and moves what is to come by as much as it is told", () => {
    const agenda = new Agenda()
    agenda.set({ key: "never", due: Number.POSITIVE_INFINITY, expiresAt: Number.NEGATIVE_INFINITY, failures: 10 })
    agenda.set(entryOf("a", 1_800_000_000_123))
    agenda.shift(-3_600_000)
    assert.strictEqual(agenda.nextDue(), 1_799_996_400_123)
    assert.deepStrictEqual(agenda.get("never")?.due, Number.POSITIVE_INFINITY)
    assert.strictEqual(agenda.get("a")?.expiresAt, 1_800_000_000_423)
  })

  it("keeps a hundred thousand in order, and takes them up again", () => {
    const agenda = new Agenda()
    const count = 100_000
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < count; i++) agenda.set(entryOf(String(i), (i * 7919) % count))
      assert.strictEqual(agenda.size, count)
      const taken = agenda.takeDue(count, count)
      assert.strictEqual(taken.length, count)
      assert.isTrue(taken.every((entry, i) => entry.due === i))
    }
  })
})
