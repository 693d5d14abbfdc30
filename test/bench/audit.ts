/**
 * What noting a request costs: whoever serves it, and the fiber that writes.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type { Entry } from "../../src/domain/AuditEntry.ts"
import { Audit } from "../../src/server/Audit.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const count = 200_000

const entry = (i: number): Entry => ({
  at: 1_800_000_000_000 + Math.floor(i / 50),
  uid: 1000,
  pid: 4000 + (i % 7),
  grant: "agents",
  op: "get_token",
  account: "github:work",
  outcome: "ok",
  micros: 200 + (i % 100),
  token: `gho_${"0123456789".repeat(8)}${i % 20}`,
})

const run = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  const layer = Audit.layerFile({ mode: "on", capacity: count }).pipe(
    Layer.provide(BrokerConfig.layer(home)),
    Layer.provide(NodeServices.layer),
  )
  let onCaller = 0
  let cpu = process.cpuUsage()
  let began = performance.now()
  yield* Effect.gen(function* () {
    const audit = yield* Audit
    cpu = process.cpuUsage()
    began = performance.now()
    for (let i = 0; i < count; i++) {
      audit.record(entry(i))
    }
    onCaller = performance.now() - began
  }).pipe(Effect.provide(layer), Effect.scoped)
  const used = process.cpuUsage(cpu)
  return {
    callerNanosPerRequest: Math.round((onCaller * 1e6) / count),
    cpuMicrosPerRequest: (used.user + used.system) / count,
    wallMicrosPerRequest: ((performance.now() - began) * 1e3) / count,
  }
})

await Effect.runPromise(
  Effect.gen(function* () {
    for (let i = 0; i < 5; i++) {
      console.log(yield* run)
    }
  }).pipe(Effect.scoped),
)
