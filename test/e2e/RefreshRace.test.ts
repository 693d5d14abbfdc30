/**
 * One login, many processes. The server ends a login when a refresh token is used twice, so a single double use shows.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import * as Race from "../support/RefreshRace.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const places = BrokerHost.layer.pipe(
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provide(NodeServices.layer),
  Layer.merge(ScriptedServer.layer({ clientSecret: Option.none() })),
)

describe("many processes that want one expired token", () => {
  it.live(
    "send its refresh token once, and all get what that brought",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const home = yield* Race.homeFolder
        const workers = yield* Effect.all(
          Array.from({ length: 8 }, () => Race.startWorker(home)),
          { concurrency: "unbounded" },
        )
        for (let n = 0; n < 200; n++) {
          const { result } = yield* Race.round(workers, `round-${n}`, 20)
          assert.deepStrictEqual(result, { redemptions: 1, reuses: 0, failures: [], tokens: 1 })
        }
      }).pipe(Effect.provide(places), Effect.scoped),
    120_000,
  )

  it.live(
    "lose nothing when processes are killed at random, but what was answered and not yet on disk",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const home = yield* Race.homeFolder
        const workers = yield* Effect.all(
          Array.from({ length: 4 }, () => Race.startWorker(home)),
          { concurrency: "unbounded" },
        )
        const outcomes = { survived: 0, suspect: 0 }
        for (let n = 0; n < 20; n++) {
          const victim = yield* Race.startWorker(home, { DIE_AT: String(1 + ((n * 7) % 24)) })
          const { account, family, result } = yield* Race.round([victim, ...workers], `round-${n}`, 20)
          const seen = yield* Race.familyOf(family)
          assert.strictEqual(seen.reuses, 0)
          console.log(victim.lastWords(), JSON.stringify(result))
        }
      }).pipe(Effect.provide(places), Effect.scoped),
    120_000,
  )
})

describe("a process that is killed in the middle of a refresh", () => {
  it.live(
    "leaves a login that survives, except when the answer had come and was not yet on disk: then it is suspect",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const home = yield* Race.homeFolder
        const outcomes: Array<string> = []
        for (let n = 1; ; n++) {
          const { account, family } = yield* Race.expiredLogin(`step-${n}`)
          const worker = yield* Race.startWorker(home, { DIE_AT: String(n) })
          const report = yield* Effect.promise(() => worker.ask(account, 1))
          if (report !== undefined) break
          const sent = (yield* Race.familyOf(family)).redemptions
          const { state, problem } = yield* Race.stateOf(account)
          const broker = yield* Broker
          const next = yield* Effect.result(broker.getToken(account))
          outcomes.push(
            `${worker.lastWords()}: sent ${sent}, ${state} ${Option.getOrElse(problem, () => "")}, then ${next._tag} ${"failure" in next ? next.failure.message : ""}`,
          )
        }
        console.log(outcomes.join("\n"))
      }).pipe(Effect.provide(places), Effect.scoped),
    120_000,
  )
})
