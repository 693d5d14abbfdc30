/**
 * The port for grants over TCP: where it listens, and what it says to those who know nothing.
 */
import { connect } from "node:net"
import { networkInterfaces } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"
import * as RawPeer from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WireClient from "../support/WireClient.ts"

const { exit, run } = WireClient

/** `tokenkeep serve` with a port, and a grant to be used there. */
const serve = Effect.fnUntraced(function* (tcp: string) {
  const home = yield* TemporaryHome.make
  const host = yield* Program.start(["serve", "--tcp", tcp], { TOKENKEEP_HOME: home, HOME: home })
  yield* Effect.promise(() => host.said("stdout", /Listening/))
  const socket = `${home}/host.sock`
  const peer = yield* Effect.promise(() => RawPeer.greeted(socket))
  const terms = { label: "box", accounts: ["demo"], keys: [], permissions: ["get_token"], approved: [], uids: "any" }
  const grant = { terms, transport: "tcp", has_capability: true, is_kept: false, while_connected: false }
  yield* Effect.promise(() => peer.write(RawPeer.request("1", "grant_add", grant)))
  assert.isTrue(yield* Effect.promise(() => RawPeer.within("a grant", peer.count(2))))
  peer.leave()
  const granted = JSON.stringify(peer.replies[1])
  const [, address = "", name = "", port = ""] = /"address":"(tcp:\/\/([^"]+):(\d+))"/.exec(granted) ?? []
  const [, capability = ""] = /"capability":"([^"]+)"/.exec(granted) ?? []
  return { home, host, socket, address, name, port: Number(port), capability }
})

/** Whether somebody answers there. */
const answers = (name: string, port: number) =>
  Effect.callback<boolean>((resume) => {
    const probe = connect({ host: name, port, timeout: 2000 })
    const say = (does: boolean) => () => {
      probe.destroy()
      resume(Effect.succeed(does))
    }
    probe.once("connect", say(true)).once("error", say(false)).once("timeout", say(false))
  })

/** Every other address of this machine. */
const elsewhere = [
  "127.0.0.2",
  ...Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => address)
    .filter((address) => address !== "127.0.0.1" && !address.startsWith("fe80:")),
]

const garbage = {
  "a frame that would be too large": "ffffffff00",
  "another protocol": Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").toString("hex"),
  "a frame that is no JSON": "000000027b7b",
  "a request before the handshake": RawPeer.request("1", "list_providers").toString("hex"),
}

describe("the port for grants", () => {
  it.live("is on this machine only, unless somebody says otherwise", () =>
    Effect.gen(function* () {
      const { name, port } = yield* serve("0")
      assert.strictEqual(name, "127.0.0.1")
      assert.isTrue(yield* answers("127.0.0.1", port))
      for (const address of elsewhere) assert.isFalse(yield* answers(address, port), address)
      const everywhere = yield* serve("0.0.0.0:0")
      assert.strictEqual(everywhere.name, "0.0.0.0")
      const reached = yield* Effect.forEach(["127.0.0.1", ...elsewhere], (address) => answers(address, everywhere.port))
      assert.isTrue(reached[0])
      if (process.platform === "linux") assert.isTrue(reached[1])
    }),
  )

  it.live("is not taken from somebody else, and must be one", () =>
    Effect.gen(function* () {
      const { port } = yield* serve("0")
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: home, HOME: home }
      const taken = yield* Program.run(["serve", "--tcp", String(port)], environment)
      assert.strictEqual(taken.code, 1)
      assert.include(taken.stderr, `Cannot listen on 127.0.0.1:${port}`)
      const wrong = yield* Program.run(["serve", "--tcp", "localhost:http"], environment)
      assert.strictEqual(wrong.code, 2)
    }),
  )

  it.live.skipIf(!WireClient.isThere)(
    "says nothing to what is no handshake, as little as the host's socket does (skipped without python3)",
    () =>
      Effect.gen(function* () {
        const { address, capability, host, socket } = yield* serve("0")
        for (const point of [address, socket]) {
          yield* Effect.forEach(
            Object.entries(garbage),
            Effect.fnUntraced(function* ([what, raw]) {
              const outcome = yield* run(point, { args: ["--no-handshake", "--raw", raw] })
              assert.deepStrictEqual({ ...outcome, stderr: "" }, { code: exit.closed, replies: [], stderr: "" }, what)
            }),
            { concurrency: 2 },
          )
        }
        const lines = [{ op: "list_providers" }]
        const known = yield* run(address, { environment: { TOKENKEEP_CAPABILITY: capability }, lines })
        assert.strictEqual(known.code, exit.answered, known.stderr)
        const unknown = yield* run(address, { lines })
        assert.strictEqual(unknown.code, exit.refused)
        // What is for the host itself is not to be had there.
        const more = yield* run(address, {
          environment: { TOKENKEEP_CAPABILITY: capability },
          lines: [{ op: "grant_list" }],
        })
        assert.strictEqual(more.replies[1]?.["code"], "INVALID_REQUEST")
        host.kill("SIGTERM")
        const { code, stderr } = yield* Effect.promise(() => host.ended)
        assert.strictEqual(code, 0)
        assert.notInclude(stderr, capability)
      }),
  )
})
