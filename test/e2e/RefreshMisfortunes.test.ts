/**
 * What happens to programs while they wait for the answer to a refresh. The answer is there once: none of this may lose it.
 */
import { renameSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, Schedule } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as Program from "../support/Program.ts"
import * as Race from "../support/RefreshRace.ts"

const setUp = Effect.fnUntraced(function* (late: Duration.Input = "1 second") {
  yield* Race.configure
  const server = yield* ScriptedProvider
  yield* server.script([Behaviour.slow(late)])
  /** Returns when the refresh token has been used, and the answer has not come. */
  const sent = Effect.repeat(server.journal, {
    schedule: Schedule.spaced("10 millis"),
    while: (calls) => calls.length === 0,
  })
  return { home: yield* Race.homeFolder, sent, ...(yield* Race.expiredLogin("default")) }
})

const provide = Effect.provide(Race.places())

describe("while a refresh waits for its answer", () => {
  for (const signal of ["SIGHUP", "SIGTERM", "SIGINT"] as const) {
    it.live(`${signal} ends the command, and what comes is kept`, () =>
      Effect.gen(function* () {
        const { account, family, home, sent } = yield* setUp()
        const command = yield* Program.start(["token", account.toString()], { TOKENKEEP_HOME: home })
        yield* sent
        command.kill(signal)
        assert.strictEqual((yield* Effect.promise(() => command.ended)).code, 130)
        assert.strictEqual((yield* Race.stateOf(account)).state, "ok")
        assert.deepInclude(yield* Race.familyOf(family), { redemptions: 1, reuses: 0 })
      }).pipe(provide, Effect.scoped),
    )
  }

  it.live("a server whose log nobody reads any more goes on, and keeps what comes", () =>
    Effect.gen(function* () {
      const { account, home, sent } = yield* setUp()
      const provider = yield* ScriptedProvider
      const server = yield* Program.start(["serve"], { TOKENKEEP_HOME: home })
      const [, socket = ""] = yield* Effect.promise(() => server.said("stdout", /Listening on (\S+)/))
      yield* sent
      server.deafen()
      // Gives the server something to say.
      yield* provider.script([Behaviour.status(400, "invalid_grant")])
      const { account: refused } = yield* Race.expiredLogin("refused")
      const { code } = yield* Program.run(["token", refused.toString()], { TOKENKEEP_SOCKET: socket })
      assert.strictEqual(code, 4)
      yield* Effect.repeat(Race.stateOf(account), {
        schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: 50 })),
        until: ({ state }) => state === "ok",
      })
      assert.strictEqual((yield* Race.stateOf(account)).state, "ok")
    }).pipe(provide, Effect.scoped),
  )

  it.live("the folder goes away and comes back, and what came is saved then", () =>
    Effect.gen(function* () {
      const { account, family, home, sent } = yield* setUp()
      const broker = yield* Broker
      const asking = yield* Effect.forkChild(broker.getToken(account))
      yield* sent
      renameSync(join(home, "accounts"), join(home, "away"))
      const token = yield* Fiber.join(asking)
      assert.deepStrictEqual(yield* broker.getToken(account), token)
      renameSync(join(home, "accounts"), join(home, "made-anew"))
      renameSync(join(home, "away"), join(home, "accounts"))
      yield* Effect.repeat(Race.stateOf(account), {
        schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: 100 })),
        until: ({ state }) => state === "ok",
      })
      assert.strictEqual((yield* Race.stateOf(account)).state, "ok")
      assert.deepInclude(yield* Race.familyOf(family), { redemptions: 1, reuses: 0 })
    }).pipe(provide, Effect.scoped),
  )

  it.live("somebody logs out, and nothing comes back", () =>
    Effect.gen(function* () {
      const { account, home, sent } = yield* setUp("6 seconds")
      const broker = yield* Broker
      const asking = yield* Effect.forkChild(Effect.flip(broker.getToken(account)))
      yield* sent
      const { code } = yield* Program.run(["logout", account.toString()], { TOKENKEEP_HOME: home })
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* Fiber.join(asking))._tag, "TokenNotFound")
      assert.deepStrictEqual(yield* broker.listBuckets(account.provider), [])
    }).pipe(provide, Effect.scoped),
  )
})
