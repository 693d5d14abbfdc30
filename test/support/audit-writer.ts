/**
 * A process that notes so many requests, closes the log when its stdin ends, says `written`, and stays:
 * `audit-writer.ts HOME COUNT`.
 */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Logger } from "effect"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Audit } from "../../src/server/Audit.ts"
import { entry } from "./Audited.ts"

const [, , home = "", count = "0"] = process.argv

Effect.gen(function* () {
  const { record } = yield* Audit
  for (let i = 0; i < Number(count); i++) {
    record(entry({ grant: `process ${process.pid}`, pid: i }))
    if (i % 50 === 0) yield* Effect.sleep("120 millis")
  }
  yield* Effect.promise(() => new Promise((resolve) => process.stdin.once("end", resolve).resume()))
}).pipe(
  Effect.provide(
    Audit.layerFile({ mode: "on", maximumBytes: 20_000, keep: 100 }).pipe(
      Layer.provide(BrokerConfig.layer(home)),
      Layer.provide(NodeServices.layer),
    ),
  ),
  Effect.andThen(Console.log("written")),
  Effect.andThen(Effect.never),
  Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])),
  Effect.runPromise,
)
setInterval(() => {}, 60_000)
