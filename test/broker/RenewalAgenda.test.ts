import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Agenda, type Entry } from "../../src/broker/Agenda.ts"

const Time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
const Key = Schema.Literals(["a", "b", "c", "d", "e", "f", "g", "h"])
const Step = Schema.Union([
  Schema.TaggedStruct("set", { key: Key, due: Time, expiresAt: Time, failures: Time }),
  Schema.TaggedStruct("remove", { key: Key }),
  Schema.TaggedStruct("take", { now: Time, limit: Schema.Literals([0, 1, 2, 100]) }),
  Schema.TaggedStruct("shift", { by: Schema.Literals([-50, -1, 7]) }),
])

const earliestFirst = (entries: Iterable<Entry>) => [...entries].toSorted((one, other) => one.due - other.due)

/** The same, slowly. */
class Model {
  readonly entries = new Map<string, Entry>()

  takeDue(now: number, limit: number) {
    const taken = earliestFirst(this.entries.values())
      .filter(({ due }) => due <= now)
      .slice(0, limit)
    return taken.map(({ due }) => due)
  }
}

describe("an agenda", () => {
  it.effect.prop(
    "holds one entry for each key, and gives what is due, earliest first",
    [Schema.Array(Step)],
    ([steps]) =>
      Effect.sync(() => {
        const agenda = new Agenda()
        const model = new Model()
        for (const step of steps) {
          switch (step._tag) {
            case "set": {
              const { _tag: _, ...entry } = step
              agenda.set(entry)
              model.entries.set(entry.key, entry)
              break
            }
            case "remove":
              agenda.remove(step.key)
              model.entries.delete(step.key)
              break
            case "take": {
              const expected = model.takeDue(step.now, step.limit)
              const taken = agenda.takeDue(step.now, step.limit)
              assert.deepStrictEqual(
                taken.map(({ due }) => due),
                expected,
              )
              for (const entry of taken) {
                assert.deepStrictEqual(entry, model.entries.get(entry.key))
                model.entries.delete(entry.key)
              }
              break
            }
            case "shift":
              agenda.shift(step.by)
              for (const [key, entry] of model.entries) model.entries.set(key, { ...entry, due: entry.due + step.by })
          }
          assert.strictEqual(agenda.size, model.entries.size)
          assert.strictEqual(agenda.nextDue(), earliestFirst(model.entries.values())[0]?.due)
          for (const [key, entry] of model.entries) assert.deepStrictEqual(agenda.get(key), entry)
        }
      }),
  )

  it("gives a hundred thousand entries back in order, of which half were moved and some removed", () => {
    const agenda = new Agenda()
    const count = 100_000
    const dueOf = (n: number) => (n * 7919) % count
    for (let n = 0; n < count; n++) agenda.set({ key: `k${n}`, due: dueOf(n), expiresAt: n, failures: 0 })
    for (let n = 0; n < count; n += 2) agenda.set({ key: `k${n}`, due: dueOf(n) + 0.5, expiresAt: n, failures: 1 })
    for (let n = 0; n < count; n += 5) agenda.remove(`k${n}`)
    const taken = agenda.takeDue(count, count)
    assert.strictEqual(taken.length, count - count / 5)
    assert.isTrue(taken.every(({ due }, index) => due >= (taken[index - 1]?.due ?? 0)))
    assert.isTrue(taken.every(({ due, expiresAt, failures }) => due === dueOf(expiresAt) + (failures === 1 ? 0.5 : 0)))
    assert.strictEqual(agenda.size, 0)
    assert.isUndefined(agenda.nextDue())
  })
})
