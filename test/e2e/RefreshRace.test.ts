/**
 * One login, many processes. The server ends a login when a refresh token is used twice, so a single double use shows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Race from "../support/RefreshRace.ts"

describe("many processes that want one expired token", () => {
  it.live(
    "send its refresh token once, and all get what that brought",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const workers = yield* Race.startWorkers(yield* Race.homeFolder, 3)
        for (let n = 0; n < 200; n++) {
          const result = yield* Race.round(workers, `round-${n}`, 10)
          assert.deepStrictEqual(result, { redemptions: 1, reuses: 0, failures: [], tokens: 1 })
        }
      }).pipe(Effect.provide(Race.places()), Effect.scoped),
    60_000,
  )

  it.live(
    "keep it when one of them is killed, or know that it is suspect",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const home = yield* Race.homeFolder
        const workers = [...(yield* Race.startWorkers(home, 3))]
        for (let n = 0; n < 8; n++) {
          const victim = workers[n % workers.length]
          if (victim === undefined) return
          const seen = yield* Race.deadlyRound(workers, victim, (n * 17) % 60, `round-${n}`, 10)
          if (seen.survived) assert.deepInclude(seen, { state: "ok", reuses: 0 })
          else {
            assert.strictEqual(seen.state, "suspect")
            assert.include(seen.problem, `by process ${victim.pid}, no answer recorded`)
          }
          workers[n % workers.length] = yield* Race.startWorker(home)
        }
      }).pipe(Effect.provide(Race.places()), Effect.scoped),
    60_000,
  )
})

describe("a process that is killed in the middle of a refresh", () => {
  it.live(
    "leaves a login that survives, unless the answer had come and no disk had seen it: then it is suspect",
    () =>
      Effect.gen(function* () {
        yield* Race.configure
        const home = yield* Race.homeFolder
        const broker = yield* Broker
        const { account: undisturbed } = yield* Race.expiredLogin("undisturbed")
        const whole = yield* Race.startWorker(home)
        const report = yield* Effect.promise(() => whole.ask(undisturbed, 1))
        const steps = Array.from({ length: report?.steps ?? 0 }, (_, n) => n + 1)
        assert.isAbove(steps.length, 20)

        const deaths = yield* Effect.forEach(
          steps,
          Effect.fnUntraced(function* (step) {
            const { account } = yield* Race.expiredLogin(`step-${step}`)
            const worker = yield* Race.startWorker(home, { DIE_AT: String(step) })
            assert.isUndefined(yield* Effect.promise(() => worker.ask(account, 1)))
            const { problem, state } = yield* Race.stateOf(account)
            const next = yield* Effect.result(broker.getToken(account))
            const after = yield* Race.stateOf(account)
            return { pid: worker.pid, place: worker.lastWords(), state, problem, next, after }
          }),
          { concurrency: 2 },
        )
        const places = deaths.map(({ place }) => place)
        const answered = places.indexOf("after the answer")
        const written = places.indexOf("after write", answered)
        assert.isAbove(answered, 0)
        assert.isAbove(written, answered)
        for (const [at, { after, next, pid, place, problem, state }] of deaths.entries()) {
          if (at < answered || at >= written) assert.strictEqual(next._tag, "Success", place)
          else {
            assert.strictEqual(state, "suspect", place)
            assert.match(Option.getOrThrow(problem), new RegExp(`sent at \\S+Z by process ${pid}, no answer recorded`))
            assert.strictEqual(next._tag === "Failure" ? next.failure._tag : "", "ReauthRequired", place)
            assert.strictEqual(after.state, "suspect", place)
            assert.include(Option.getOrThrow(after.problem), "tokenkeep login")
          }
        }
      }).pipe(Effect.provide(Race.places()), Effect.scoped),
    60_000,
  )
})

describe("the command in a loop, and a program that embeds the broker", () => {
  it.live(
    "live on one store and on tokens of one second without a refusal",
    () =>
      Effect.gen(function* () {
        const seen = yield* Race.twoPaths(5_000)
        assert.deepStrictEqual(seen.refused, [])
        assert.isAbove(seen.commands, 1)
        assert.isAbove(seen.calls, 10)
        assert.deepInclude(seen.family, { reuses: 0, refusals: 0, dead: false })
      }).pipe(Effect.provide(Race.places({ accessTokenLifetime: "1 second" })), Effect.scoped),
    60_000,
  )
})
