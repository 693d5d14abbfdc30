/**
 * What noting a request costs at 100,000 a second: whoever serves it, and the whole process. The floor is a process that
 * makes the same entries and drops them.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type { Entry } from "../../src/domain/AuditEntry.ts"
import { Audit } from "../../src/server/Audit.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const turns = 200
const perTurn = 1_000
const count = turns * perTurn

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

const run = (layer: Layer.Layer<Audit>) =>
  Effect.gen(function* () {
    let onCaller = 0
    const cpu = process.cpuUsage()
    yield* Effect.gen(function* () {
      const { record } = yield* Audit
      for (let turn = 0; turn < turns; turn++) {
        const began = performance.now()
        for (let i = 0; i < perTurn; i++) record(entry(turn * perTurn + i))
        onCaller += performance.now() - began
        yield* Effect.sleep("10 millis")
      }
    }).pipe(Effect.provide(Layer.fresh(layer)), Effect.scoped)
    const used = process.cpuUsage(cpu)
    return { caller: (onCaller * 1e6) / count, user: (used.user * 1e3) / count, system: (used.system * 1e3) / count }
  })

const nanos = (time: number) => `${Math.round(time)} ns`

export const audit = () =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        const inFile = Audit.layerFile({ mode: "on" }).pipe(
          Layer.provide(BrokerConfig.layer(home)),
          Layer.provide(NodeServices.layer),
        )
        yield* run(inFile)
        return { dropped: yield* run(Audit.layerOff), written: yield* run(inFile) }
      }),
    ),
  ).then((results) => {
    for (const [name, { caller, system, user }] of Object.entries(results)) {
      console.log(`${name}: caller ${nanos(caller)}, process ${nanos(user)} user and ${nanos(system)} system a request`)
    }
  })
