import { open } from "node:fs/promises"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, FileSystem, Layer, Schema, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Usage } from "../../src/broker/Usage.ts"
import * as UsageFile from "../../src/broker/UsageFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as KernelLock from "../../src/system/KernelLock.ts"
import * as Logs from "../support/Logs.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const home = Layer.mergeAll(TemporaryHome.layerConfig(), NodeServices.layer, SecureRandom.layerWebCrypto)
const hub = Account.make("hub")

/** A process that counts, and its end. */
const start = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const context = yield* Layer.build(Layer.fresh(UsageFile.layer)).pipe(Scope.provide(scope))
  return { usage: Context.get(context, Usage), end: Scope.close(scope, Exit.void) }
})

const requests = (usage: typeof Usage.Service, account = hub) =>
  Effect.map(usage.of(account.provider), (buckets) => buckets.get(account.bucket)?.requests ?? 0)

const count = (usage: typeof Usage.Service, times: number, account = hub) => {
  for (let i = 0; i < times; i++) usage.count(account)
}

const File = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.Literal(1),
    accounts: Schema.Array(Schema.Struct({ provider: Schema.String, requests: Schema.Int })),
  }),
)

/** How many requests at the provider the file says there were; none if there is no file. */
const inFile = (provider = "hub") =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { usageFile } = yield* BrokerConfig
    if (!(yield* fs.exists(usageFile))) return 0
    const { accounts } = yield* Schema.decodeEffect(File)(yield* fs.readFileString(usageFile))
    return accounts
      .filter((account) => account.provider === provider)
      .reduce((sum, account) => sum + account.requests, 0)
  })

describe("usage in a file", () => {
  it.live("is there again after a restart, and is nobody else's to read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { usageFile } = yield* BrokerConfig
      const odd = Account.make("__proto__", "ключ")
      for (const already of [0, 3]) {
        const { end, usage } = yield* start
        assert.strictEqual(yield* requests(usage), already)
        count(usage, 3)
        count(usage, 1, odd)
        assert.strictEqual(yield* requests(usage), already + 3)
        yield* end
      }
      const { usage } = yield* start
      assert.strictEqual(yield* requests(usage), 6)
      assert.strictEqual(yield* requests(usage, odd), 2)
      assert.strictEqual((yield* fs.stat(usageFile)).mode & 0o777, 0o600)
    }).pipe(Effect.provide(home)),
  )

  it.effect("is written every 30 s, if there is anything new", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { usageFile } = yield* BrokerConfig
      const { usage } = yield* start
      yield* TestClock.adjust("31 seconds")
      yield* requests(usage)
      assert.isFalse(yield* fs.exists(`${usageFile}.lock`))
      count(usage, 1)
      yield* TestClock.adjust("28 seconds")
      yield* requests(usage)
      assert.strictEqual(yield* inFile(), 0)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* requests(usage), 1)
      assert.strictEqual(yield* inFile(), 1)
    }).pipe(Effect.provide(home)),
  )

  it.live("is the sum of what all processes have counted", () =>
    Effect.gen(function* () {
      const processes = yield* Effect.forEach([1, 2, 3, 4, 5], () => start)
      for (const [i, { usage }] of processes.entries()) count(usage, 10 ** i)
      yield* Effect.forEach(processes, ({ end }) => end, { concurrency: "unbounded" })
      assert.strictEqual(yield* inFile(), 11_111)
    }).pipe(Effect.provide(home)),
  )

  it.live("shows what other processes have counted since", () =>
    Effect.gen(function* () {
      const { usage } = yield* start
      count(usage, 1)
      for (const sum of [3, 5]) {
        const other = yield* start
        count(other.usage, 2)
        yield* other.end
        assert.strictEqual(yield* requests(usage), sum)
      }
    }).pipe(Effect.provide(home)),
  )

  for (const [what, content] of [
    ["cut off", '{"version":1,"acc'],
    ["empty", ""],
    ["of a newer version", '{"version":2,"accounts":[]}'],
    [
      "full of nonsense",
      '{"version":1,"accounts":[{"provider":"hub","bucket":"default","requests":-1,"lastUsed":"x"}]}',
    ],
  ] as const) {
    it.live(`that is ${what} is counted anew, and the log says so once`, () => {
      const logs = Logs.make()
      return Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { usageFile } = yield* BrokerConfig
        yield* fs.writeFileString(usageFile, content)
        // So that it is as it would be found: a young file may still change.
        yield* fs.utimes(usageFile, 0, 0)
        const { end, usage } = yield* start
        count(usage, 2)
        assert.strictEqual(yield* requests(usage), 2)
        assert.strictEqual(yield* requests(usage), 2)
        assert.strictEqual(logs.lines.length, 1)
        assert.match(logs.lines[0] ?? "", /^Warn .*usage\.json is damaged.*counted anew/)
        yield* end
        assert.strictEqual(yield* inFile(), 2)
      }).pipe(Effect.provide([home, logs.layer]))
    })
  }

  it.effect("that cannot be read or written stops nothing, loses nothing, and is complained of once", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { usageFile } = yield* BrokerConfig
      yield* fs.makeDirectory(usageFile, { recursive: true })
      const { usage } = yield* start
      count(usage, 2)
      for (let round = 0; round < 3; round++) {
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* requests(usage), 2)
      }
      assert.deepStrictEqual(logs.lines.length, 1)
      assert.match(logs.lines[0] ?? "", /^Warn .*cannot be kept or read\. Could not/)
      yield* fs.remove(usageFile, { recursive: true })
      count(usage, 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* requests(usage), 3)
      assert.strictEqual(yield* inFile(), 3)
    }).pipe(Effect.provide([home, logs.layer]))
  })

  it.live("does not wait for ever for a process that has it locked", () =>
    Effect.gen(function* () {
      const { usageFile } = yield* BrokerConfig
      const tryLock = yield* KernelLock.make(process.platform)
      const first = yield* start
      const second = yield* start
      count(first.usage, 1)
      yield* first.end
      const holder = yield* Effect.promise(() => open(`${usageFile}.lock`, "a"))
      assert.strictEqual(tryLock(holder.fd, "exclusive"), "held")
      count(second.usage, 1)
      yield* second.end
      assert.strictEqual(yield* inFile(), 1)
      yield* Effect.promise(() => holder.close())
    }).pipe(Effect.provide(home)),
  )

  it.live("remembers ten thousand accounts, those that were used last", () =>
    Effect.gen(function* () {
      const { end, usage } = yield* start
      for (let i = 0; i < 10_050; i++) usage.count(Account.make("hub", String(i)))
      yield* end
      assert.strictEqual(yield* inFile(), 10_000)
    }).pipe(Effect.provide(home)),
  )
})

describe("usage without a layer", () => {
  it.effect("counts nothing", () =>
    Effect.gen(function* () {
      const usage = yield* Usage
      count(usage, 1)
      assert.strictEqual(yield* requests(usage), 0)
    }),
  )
})
