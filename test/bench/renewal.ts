/**
 * The due times of a million accounts, against the floor: a `Map` that holds one number for each of them.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Console, DateTime, Effect, Layer, Option, PubSub, Redacted } from "effect"
import { Accounts } from "../../src/broker/Accounts.ts"
import { Agenda } from "../../src/broker/Agenda.ts"
import { Refresher } from "../../src/broker/Refresher.ts"
import { Renewal } from "../../src/broker/Renewal.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { median, milliseconds } from "./measure.ts"

const million = 1_000_000
const begin = 1_800_000_000_000

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** What is used, in and beside the heap, when nothing is garbage. What stood on the stack a moment ago is, later. */
const memory = Effect.sync(() => {
  collect()
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}).pipe(Effect.delay("50 millis"))

/** What has been added since, for each of so many. */
const bytesEach = (count: number, before: number) => Effect.map(memory, (now) => (now - before) / count)

const each = (count: number, time: number): string => `${((1e6 * time) / count).toFixed(0)} ns`

/** The same times for the same number, and in no order. */
const dueOf = (n: number, count: number): number => begin + ((n * 7919) % count) * 1000

const keysOf = (count: number): ReadonlyArray<string> => {
  const keys = Array.from({ length: count }, (_, n) => `provider-${n % 50}:bucket-${n}`)
  // Each is written out, and its hash is known: what the measured ones cost is theirs alone.
  const known = new Set(keys)
  return known.size === count ? keys : []
}

const schedule = (keys: ReadonlyArray<string>, agenda = new Agenda()): Agenda => {
  keys.forEach((key, n) => {
    const due = dueOf(n, keys.length)
    agenda.set({ key, due, expiresAt: due + 360_000, failures: 0 })
  })
  return agenda
}

const mapOf = (keys: ReadonlyArray<string>): Map<string, number> => {
  const map = new Map<string, number>()
  keys.forEach((key, n) => map.set(key, n))
  return map
}

const timed = <A>(work: () => A): readonly [result: A, time: number] => {
  const begun = performance.now()
  const result = work()
  return [result, performance.now() - begun]
}

const space = Effect.fnUntraced(function* (count: number) {
  const keys = keysOf(count)
  const empty = yield* memory
  const [map, mapTime] = timed(() => mapOf(keys))
  const mapBytes = yield* bytesEach(map.size, empty)
  const before = yield* memory
  const [agenda, time] = timed(() => schedule(keys))
  const used = yield* bytesEach(agenda.size, before)
  yield* Console.log(
    `  ${count.toLocaleString("en")} accounts: ${used.toFixed(1)} bytes each beyond the key; floor ${mapBytes.toFixed(1)}: ${(used / mapBytes).toFixed(1)} times`,
  )
  yield* Console.log(
    `    scheduled in ${milliseconds(time)}, floor ${milliseconds(mapTime)}: ${(time / mapTime).toFixed(1)} times`,
  )
  return [keys.length, map.size, agenda.size]
})

const growth = Effect.gen(function* () {
  let last = 0
  for (const count of [1e3, 1e4, 1e5, 1e6]) {
    const keys = keysOf(count)
    const rounds = Math.max(3, million / count)
    const time = yield* Effect.promise(() => median(Math.min(rounds, 101), () => void schedule(keys)))
    const floor = yield* Effect.promise(() => median(Math.min(rounds, 101), () => void mapOf(keys)))
    const times = last === 0 ? "" : `, ${(time / count / last).toFixed(2)} times the last`
    yield* Console.log(
      `  one of ${count.toLocaleString("en")}: ${each(count, time)}${times}; floor ${each(count, floor)}, ${(time / floor).toFixed(1)} times`,
    )
    last = time / count
  }
})

const work = Effect.gen(function* () {
  const keys = keysOf(million)
  const map = mapOf(keys)
  const agenda = schedule(keys)
  const some = Array.from({ length: 10_000 }, (_, n) => (n * 104_729) % million)
  let round = 0
  const replan = yield* Effect.promise(() =>
    median(21, () => {
      round++
      for (const n of some) {
        const due = dueOf(n + 15_485_863 * round, million)
        agenda.set({ key: keys[n] ?? "", due, expiresAt: due, failures: 0 })
      }
    }),
  )
  const replace = yield* Effect.promise(() => median(21, () => some.forEach((n) => map.set(keys[n] ?? "", round++))))
  yield* Console.log(
    `  plan one of a million anew:  ${each(some.length, replan)}, floor ${each(some.length, replace)}: ${(replan / replace).toFixed(1)} times`,
  )

  let taken = agenda.takeDue(0, 0)
  const take = yield* Effect.promise(() =>
    median(21, () => {
      taken = agenda.takeDue(Number.POSITIVE_INFINITY, 1000)
    }),
  )
  const drop = yield* Effect.promise(() =>
    median(21, () => {
      let left = 1000
      for (const key of map.keys()) {
        if (left-- === 0) break
        map.delete(key)
      }
    }),
  )
  yield* Console.log(
    `  take the first ${taken.length} of them:  ${milliseconds(take)}, floor ${milliseconds(drop)}: ${(take / drop).toFixed(1)} times`,
  )

  const shift = yield* Effect.promise(() => median(21, () => agenda.shift(-1)))
  const look = yield* Effect.promise(() =>
    median(21, () => {
      for (const value of map.values()) if (value < 0) round++
    }),
  )
  yield* Console.log(
    `  move all of them:            ${milliseconds(shift)}, floor (look at each) ${milliseconds(look)}: ${(shift / look).toFixed(2)} times`,
  )
})

const copyOf = (text: string): string => Buffer.from(text).toString()

/** The service with a million accounts of fifty providers, whose tokens all expire so many milliseconds from now. */
const service = Effect.fnUntraced(function* (name: string, life: number) {
  const now = yield* DateTime.now
  const token = {
    accessToken: Redacted.make("access"),
    refreshToken: Redacted.make("refresh"),
    expiresAt: DateTime.add(now, { milliseconds: life }),
    tokenType: "bearer",
    extras: Redacted.make({}),
  }
  const record = Effect.succeedSome(AccountRecord.fromLogin(token, now))
  let read = 0
  const changed = yield* PubSub.unbounded<AccountKey>()
  const accounts = Layer.mock(Accounts, {
    list: Effect.sync(() =>
      Array.from({ length: million }, (_, n) => Account.make(`provider-${n % 50}`, `bucket-${n}`)),
    ),
    changes: PubSub.subscribe(changed),
    glance: () => Option.none(),
    get: () => {
      read++
      return record
    },
  })
  const refresher = Layer.mock(Refresher, { refresh: () => Effect.never })
  const before = yield* memory
  const begun = performance.now()
  const renewal = yield* Layer.build(Renewal.layer.pipe(Layer.provide([accounts, refresher])))
  const { next } = yield* Effect.provideContext(Renewal, renewal)
  yield* Effect.repeat(Effect.delay(Effect.void, "20 millis"), { until: () => read >= million })
  const loaded = performance.now() - begun
  // What is read last is planned a moment later.
  const all = yield* Effect.delay(bytesEach(million, before), "500 millis")
  const texts = keysOf(million).map(copyOf)
  const withTexts = yield* memory
  const copies = texts.map(copyOf)
  const key = (yield* bytesEach(copies.length, withTexts)) - 8
  const isPlanned = Option.isSome(yield* next(Account.make("provider-1", "bucket-1")))
  yield* Console.log(
    `  the service, ${name}: ${isPlanned ? "planned" : "in hand"} after ${milliseconds(loaded)}; ${(all - key).toFixed(1)} bytes each beyond the key, which has ${key.toFixed(1)}`,
  )
  return [texts.length, copies.length]
}, Effect.scoped)

export const renewal = () =>
  Effect.gen(function* () {
    for (const count of [million, 1_048_577, 1_100_000]) yield* space(count)
    yield* growth
    yield* work
    yield* service("with nothing due", 86_400_000)
    yield* service("with everything due", 0)
  }).pipe(Effect.runPromise)
