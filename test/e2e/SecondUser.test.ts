/**
 * Other users of the machine at each of the host's sockets: what keeps them out is tried by them, one wall at a time.
 */
import { chmodSync, linkSync, mkdirSync, statSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as OtherUser from "../support/OtherUser.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WireClient from "../support/WireClient.ts"

const { exit, run } = WireClient
const [someone, somebodyElse] = OtherUser.others
const root = 0

/** `tokenkeep serve`, as root, with one login. */
class Host extends Context.Service<
  Host,
  {
    readonly socket: string
    /** Asks the host something, as its own user. */
    readonly ask: (op: string, payload: WireClient.Line["payload"]) => Effect.Effect<WireClient.Reply>
    /** Opens the file system's walls around a socket: another name for it, in a folder that is open to all. */
    readonly expose: (socket: string, name: string) => string
  }
>()("tokenkeep/test/e2e/SecondUser.test/Host") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      chmodSync(home, 0o711)
      mkdirSync(`${home}/open`)
      chmodSync(`${home}/open`, 0o755)
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const server = yield* Program.start(["serve", "--json", "--tcp", "0"], environment)
      const [, socket = ""] = yield* Effect.promise(() => server.said("stdout", /"socket":"([^"]+)"/))
      const ask = Effect.fnUntraced(function* (op: string, payload: WireClient.Line["payload"] = {}) {
        const { code, replies, stderr } = yield* run(socket, { lines: [{ op, payload }] })
        assert.strictEqual(code, exit.answered, stderr)
        assert.isTrue(replies[1]?.["ok"], JSON.stringify(replies[1]))
        return replies[1] ?? {}
      })
      yield* ask("save_token", { provider: "demo", token: { access_token: "the token", expiry: 4_000_000_000 } })
      const expose = (path: string, name: string) => {
        linkSync(path, `${home}/open/${name}`)
        return `${home}/open/${name}`
      }
      return Host.of({ socket, ask, expose })
    }),
  )
}

/** Asks for the token as some user: what is said to the handshake, and to that. */
const visit = Effect.fnUntraced(function* (
  path: string,
  user: number,
  environment: { readonly [name: string]: string } = {},
) {
  const lines = [{ op: "get_token", payload: { provider: "demo" } }]
  const { code, replies, stderr } = yield* run(path, { user, environment, lines })
  const [handshake, reply] = replies
  const data = reply?.["data"]
  const token = typeof data === "object" && data !== null && "access_token" in data ? data.access_token : undefined
  return { code, said: handshake?.["code"], token, stderr }
})

const served = { code: exit.answered, said: undefined, token: "the token", stderr: "" }

/** Nothing of it is a handshake, or the beginning of one that could be waited for. */
const garbage = {
  "a frame that would be too large": "ffffffff00",
  "another protocol": Buffer.from("GET / HTTP/1.1\r\n\r\n").toString("hex"),
  "a frame that is no JSON": "000000027b7b",
  "half a frame": "000000647b22",
}

/** Held against everything that somebody who may not speak could say. */
const isRefused = Effect.fnUntraced(function* (path: string, user: number) {
  const polite = yield* visit(path, user)
  assert.deepStrictEqual(polite, { code: exit.refused, said: "UNAUTHORIZED", token: undefined, stderr: "" })
  yield* Effect.forEach(
    Object.entries(garbage),
    Effect.fnUntraced(function* ([what, raw]) {
      const { code, replies } = yield* run(path, { user, args: ["--no-handshake", "--raw", raw] })
      assert.strictEqual(code, exit.closed, what)
      assert.deepStrictEqual(
        replies.map((reply) => reply["code"]),
        ["UNAUTHORIZED"],
        what,
      )
    }),
    { concurrency: "unbounded" },
  )
})

const grant = (terms: { readonly [name: string]: unknown }, transport: "unix" | "tcp") => ({
  terms: { label: "box", accounts: ["demo"], keys: [], permissions: ["get_token"], approved: [], ...terms },
  transport,
  has_capability: transport === "tcp",
  is_kept: false,
  while_connected: false,
})

const granted = Effect.fnUntraced(function* (...wanted: Parameters<typeof grant>) {
  const { ask } = yield* Host
  const { data } = yield* ask("grant_add", grant(...wanted))
  assert.isObject(data)
  return {
    address: typeof data === "object" && data !== null && "address" in data ? String(data.address) : "",
    capability: typeof data === "object" && data !== null && "capability" in data ? String(data.capability) : "",
  }
})

describe.skipIf(OtherUser.missing !== undefined)(`another user (${OtherUser.missing ?? "there is one"})`, () => {
  layer(Host.layer, { excludeTestServices: true })((it) => {
    it.effect("does not get to the host's socket", () =>
      Effect.gen(function* () {
        const { socket } = yield* Host
        const { code, stderr } = yield* visit(socket, someone)
        assert.strictEqual(code, exit.unreachable)
        assert.include(stderr, "Permission denied")
      }),
    )

    it.effect("is refused by the host's socket where the file system lets it through, whatever it says", () =>
      Effect.gen(function* () {
        const { expose, socket } = yield* Host
        const path = expose(socket, "host.sock")
        assert.strictEqual((yield* visit(path, someone)).code, exit.unreachable)
        chmodSync(path, 0o666)
        yield* isRefused(path, someone)
        assert.deepStrictEqual(yield* visit(path, root), served)
        chmodSync(path, 0o600)
      }),
    )

    it.effect("gets what a grant for it allows, and nobody else does, not even the host's own user", () =>
      Effect.gen(function* () {
        const { expose } = yield* Host
        const { address } = yield* granted({ uids: [someone] }, "unix")
        assert.strictEqual(statSync(address).mode & 0o777, 0o666)
        assert.strictEqual((yield* visit(address, someone)).code, exit.unreachable)
        const path = expose(address, "grant.sock")
        assert.deepStrictEqual(yield* visit(path, someone), served)
        yield* isRefused(path, somebodyElse)
        yield* isRefused(path, root)
      }),
    )

    it.effect("gets what a grant over TCP allows with its capability, and nothing without", () =>
      Effect.gen(function* () {
        const { address, capability } = yield* granted({ uids: "any" }, "tcp")
        const showing = (text: string) => visit(address, someone, { TOKENKEEP_CAPABILITY: text })
        assert.deepStrictEqual(yield* showing(capability), served)
        const refused = { code: exit.refused, said: "UNAUTHORIZED", token: undefined, stderr: "" }
        const tries = [
          visit(address, someone),
          showing("wrong"),
          showing(capability.slice(1)),
          showing(capability.toUpperCase()),
        ]
        assert.deepStrictEqual(
          yield* Effect.all(tries, { concurrency: "unbounded" }),
          tries.map(() => refused),
        )
      }),
    )
  })
})
