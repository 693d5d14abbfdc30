/**
 * What it costs that many processes want one expired token: against one process that wants it alone. And how often a
 * login is lost when processes are killed, and whether a command and a program can share one for a minute.
 */
import { Console, Effect, Random } from "effect"
import * as Race from "../support/RefreshRace.ts"
import { milliseconds } from "./measure.ts"

const rounds = 1_000
const processes = 50
const fibers = 20
const deadlyRounds = 200
const minute = 60_000

const timed = Effect.fnUntraced(function* (workers: ReadonlyArray<Race.Worker>, name: string, fibers: number) {
  const times: Array<number> = []
  const total = { redemptions: 0, reuses: 0, failures: 0 }
  for (let n = 0; n < rounds; n++) {
    const begun = performance.now()
    const { failures, redemptions, reuses } = yield* Race.round(workers, `${name}-${n}`, fibers)
    times.push(performance.now() - begun)
    total.redemptions += redemptions
    total.reuses += reuses
    total.failures += failures.length
  }
  return { ...total, median: times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0 }
})

const races = Effect.gen(function* () {
  yield* Race.configure
  const workers = yield* Race.startWorkers(yield* Race.homeFolder, processes)
  const alone = yield* timed(workers.slice(0, 1), "alone", 1)
  const together = yield* timed(workers, "together", fibers)
  const { failures, redemptions, reuses } = together
  yield* Console.log(`  ${processes} processes × ${fibers} fibers, ${rounds} rounds: ${redemptions} redemptions`)
  yield* Console.log(`  refused: ${reuses} at the server, ${failures} at the fibers`)
  yield* Console.log(
    `  a round: ${milliseconds(together.median)}, ${(together.median / alone.median).toFixed(1)} × one process with one fiber (${milliseconds(alone.median)})`,
  )
}).pipe(Effect.provide(Race.places()), Effect.scoped)

const deaths = Effect.gen(function* () {
  yield* Race.configure
  const home = yield* Race.homeFolder
  const workers = [...(yield* Race.startWorkers(home, 4))]
  const seen = { survived: 0, suspect: 0, otherwise: 0 }
  for (let n = 0; n < deadlyRounds; n++) {
    const at = n % workers.length
    const victim = workers[at]
    if (victim === undefined) return
    const { state, survived } = yield* Race.deadlyRound(
      workers,
      victim,
      yield* Random.nextBetween(0, 60),
      `death-${n}`,
      fibers,
    )
    if (survived) seen.survived++
    else if (state === "suspect") seen.suspect++
    else seen.otherwise++
    workers[at] = yield* Race.startWorker(home)
  }
  yield* Console.log(
    `  one of ${workers.length} processes killed in each of ${deadlyRounds} rounds, by a server that holds answers for 15 ms:`,
  )
  yield* Console.log(
    `  ${seen.survived} logins survived, ${seen.suspect} were suspect and said so, ${seen.otherwise} were lost otherwise`,
  )
}).pipe(Effect.provide(Race.places()), Effect.scoped)

const sharing = Effect.gen(function* () {
  const { calls, commands, family, refused } = yield* Race.twoPaths(minute)
  yield* Console.log(
    `  ${commands} runs of the command and ${calls} calls of a program in ${minute / 1000} s on tokens of one second: ${family.redemptions} redemptions, ${family.refusals} refused by the server, ${refused.length} failed`,
  )
}).pipe(Effect.provide(Race.places({ accessTokenLifetime: "1 second" })), Effect.scoped)

export const refreshRace = () => Effect.runPromise(Effect.andThen(races, Effect.andThen(deaths, sharing)))
