/**
 * What a peer that means harm tries at a grant's socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import * as RawPeer from "../support/RawPeer.ts"
import * as Granting from "../support/Granting.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const host = (options: Omit<Parameters<typeof Granting.start>[0], "home"> = {}) =>
  Effect.flatMap(TemporaryHome.make, (home) => Granting.start({ home, ...options }))

/** What others do takes its time. */
const pause = (ms: number) => Effect.promise(() => new Promise((done) => setTimeout(done, ms)))

const greeting = (capabilityToken: string | undefined) =>
  RawPeer.frameOf({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2, capabilityToken } })

describe("whoever means harm", () => {
  it.live("cannot choose what the log says was asked for", () =>
    Effect.gen(function* () {
      const { entries, grants } = yield* host()
      const holder = yield* Granting.hold(yield* grants.add(Granting.newGrant({ keys: ["real"] })))
      yield* Effect.promise(() => holder.ask("get_api_key", { name: "real", provider: "decoy" }))
      yield* Effect.promise(() => holder.ask("oauth_poll", { session_id: "x", provider: "decoy" }))
      assert.deepStrictEqual(
        entries.map(({ account, op }) => [op, account]),
        [
          ["get_api_key", "real"],
          ["oauth_poll", undefined],
        ],
      )
    }).pipe(Effect.scoped),
  )

  it.live("cannot act and leave without a line in the log", () =>
    Effect.gen(function* () {
      const { entries, grants, provider } = yield* host()
      yield* provider.script([Behaviour.slow("1 second")])
      const permissions = ["remove_token", "refresh_token"] as const
      const { address, capability } = yield* grants.add(Granting.newGrant({ permissions }))
      const capabilityToken = Option.getOrUndefined(Option.map(capability, Redacted.value))
      // What it has not read when it leaves resets the connection.
      const peer = yield* Effect.promise(() => RawPeer.open(address, { reads: false }))
      yield* Effect.promise(() => peer.write(greeting(capabilityToken)))
      yield* Effect.promise(() => peer.write(RawPeer.request("1", "refresh_token", Granting.work)))
      yield* pause(50)
      peer.leave()
      yield* pause(1300)
      assert.deepStrictEqual(
        entries.map(({ account, op }) => [op, account]),
        [["refresh_token", "scripted:work"]],
      )
    }).pipe(Effect.scoped),
  )

  it.live("hears that its grant was revoked when it is revoked", () =>
    Effect.gen(function* () {
      const { grants, questions } = yield* host({ ask: true })
      const granted = yield* grants.add(Granting.newGrant())
      const holder = yield* Granting.hold(granted)
      const answer = holder.codeOf("get_token", Granting.other)
      while ((yield* questions.list).length === 0) yield* pause(5)
      yield* grants.revoke(granted.id)
      assert.strictEqual(yield* Effect.promise(() => answer), "UNAUTHORIZED")
    }).pipe(Effect.scoped),
  )

  it.live("does not make a connection collect listeners", () =>
    Effect.gen(function* () {
      const { grants } = yield* host()
      const { address, capability } = yield* grants.add(Granting.newGrant())
      const warnings: Array<string> = []
      const warn = ({ message }: Error) => warnings.push(message)
      process.on("warning", warn)
      const capabilityToken = Option.getOrUndefined(Option.map(capability, Redacted.value))
      const { peer } = yield* Effect.promise(() => Granting.connect(address, capabilityToken))
      const flood = Buffer.concat(
        Array.from({ length: 3000 }, (_, i) =>
          RawPeer.request(`${i}${"x".repeat(100)}`, "get_token", { provider: "x" }),
        ),
      )
      // It falls behind, and catches up, again and again.
      for (let round = 1; round <= 14; round++) {
        peer.socket.pause()
        void peer.write(flood)
        yield* pause(120)
        peer.socket.resume()
        yield* Effect.promise(() => peer.count(1 + round * 3000))
      }
      process.off("warning", warn)
      peer.leave()
      assert.deepStrictEqual(warnings, [])
    }).pipe(Effect.scoped),
  )

  it.live(
    "gets nothing after a revocation, whatever it began before",
    () =>
      Effect.gen(function* () {
        const { grants } = yield* host()
        const granted = yield* grants.add(Granting.newGrant({ permissions: ["get_token", "login"] }))
        const holder = yield* Granting.hold(granted)
        for (let i = 0; i < 2000; i++) {
          const reply = yield* Effect.promise(() => holder.ask("oauth_initiate", Granting.work))
          const data = JSON.parse(JSON.stringify(reply))
          yield* Effect.promise(() => holder.ask("oauth_cancel", { session_id: data.data.session_id }))
        }
        const revoking = yield* Effect.forkChild(grants.revoke(granted.id))
        const capabilityToken = Option.getOrUndefined(Option.map(granted.capability, Redacted.value))
        const codes: Array<unknown> = []
        while (revoking.pollUnsafe() === undefined) {
          const code = yield* Effect.promise(async () => {
            try {
              const again = await Granting.connect(granted.address, capabilityToken)
              const code = await again.codeOf("get_token", Granting.work)
              again.peer.leave()
              return code
            } catch (error) {
              return String(error)
            }
          })
          codes.push(code)
        }
        assert.isFalse(codes.includes("ok"))
      }).pipe(Effect.scoped),
    60_000,
  )

  it.live("cannot keep others from the port by connecting often", () =>
    Effect.gen(function* () {
      const { grants } = yield* host({ tcp: { host: "127.0.0.1", port: 0 } })
      const mine = yield* grants.add(Granting.newGrant({ uids: "any" }, { transport: "tcp" }))
      const theirs = yield* grants.add(Granting.newGrant({ uids: "any" }, { transport: "tcp" }))
      for (let i = 0; i < 64; i++) yield* Granting.hold(mine)
      const other = yield* Effect.exit(Granting.hold(theirs))
      assert.deepStrictEqual([other._tag, other._tag === "Success" && other.value.greeting?.["ok"]], ["Success", true])
    }).pipe(Effect.scoped),
  )
})
