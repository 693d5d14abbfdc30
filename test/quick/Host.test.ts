/**
 * A token from a host, which says anything: what is said quickly is what the whole program would have said, and where it is
 * for the whole program to say something, the host is asked no more often than by the whole program alone.
 */
import { closeSync, openSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import * as fc from "fast-check"
import * as Quick from "../../src/quick/Quick.ts"
import { frame, frameOf } from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WholeProgram from "./WholeProgram.ts"

const stdin = () => Promise.resolve(undefined)

/** What a host does when it was greeted, and when it was asked. */
interface Script {
  readonly greeting: ReadonlyArray<Uint8Array>
  readonly replies: (id: unknown) => ReadonlyArray<Uint8Array>
  /** Whether it hangs up after what it has said last. */
  readonly hangsUp: "after the greeting" | "after the reply" | "never"
  /** Into how many pieces what it says is cut. */
  readonly pieces: number
}

interface Host {
  /** What it was asked, and shown. */
  readonly heard: Array<unknown>
  readonly server: Server
}

/** A host that does as the script says. */
const hostAt = (path: string, script: Script) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<Host>((resolve) => {
          const heard: Array<unknown> = []
          const server = createServer((socket) => {
            let rest: Buffer = Buffer.alloc(0)
            const state = { isOver: false }
            const say = (frames: ReadonlyArray<Uint8Array>, isLast: boolean) => {
              const bytes = Buffer.concat(frames)
              const size = Math.max(1, Math.ceil(bytes.length / script.pieces))
              for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size))
              state.isOver = isLast
              if (isLast) socket.end()
            }
            socket.on("error", () => {})
            socket.on("data", (chunk: Buffer) => {
              rest = Buffer.concat([rest, chunk])
              while (!state.isOver && rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
                const end = 4 + rest.readUInt32BE(0)
                const said = JSON.parse(rest.toString("utf8", 4, end))
                rest = rest.subarray(end)
                heard.push({ op: said.op, payload: said.payload })
                if (said.op === "handshake") say(script.greeting, script.hangsUp === "after the greeting")
                else say(script.replies(said.id), script.hangsUp === "after the reply")
              }
            })
          })
          server.listen(path, () => resolve({ heard, server }))
        }),
    ),
    ({ server }) => Effect.promise(() => new Promise((done) => server.close(done))),
  )

const welcome = frameOf({ v: 2, op: "handshake", ok: true, data: { version: 2 } })

const odd = fc.constantFrom<unknown>(undefined, null, true, 0, -1, 1e20, 253_402_300_799, "", "x", "a\nb", [], {}, "é")

const data = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ access_token: "access-1", expiry: 4_000_000_000, token_type: "Bearer" }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom("access_token", "expiry", "token_type", "scope", "account_id", "refresh_token"), odd)
      .map(([name, value]) => ({ access_token: "access-1", expiry: 4_000_000_000, [name]: value })),
  },
  { weight: 1, arbitrary: odd },
)

const code = fc.constantFrom("NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN", "REAUTH_REQUIRED", "RATE_LIMITED", "ODD", 1)

const greetings = fc.oneof(
  { weight: 12, arbitrary: fc.constant([welcome]) },
  { weight: 1, arbitrary: fc.constant([frameOf({ v: 1, op: "handshake", ok: true })]) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom("UNAUTHORIZED", "UNKNOWN_VERSION", 1)
      .map((code) => [frameOf({ v: 2, op: "handshake", ok: false, code, error: "no" })]),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<unknown>({ op: "other" }, { op: "handshake", ok: true, v: 3 }, [], 1)
      .map((value) => [frameOf(value)]),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom([frame("{")], [frame("")], [frame("ÿ\u0000")], [Buffer.from([255, 0, 0, 0])]),
  },
)

const replies = fc.oneof(
  { weight: 5, arbitrary: data.map((data) => (id: unknown) => [frameOf({ v: 2, id, ok: true, data })]) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(code, fc.constantFrom<unknown>(undefined, 0, 7, -1, "x"))
      .map(([code, retryAfter]) => (id: unknown) => [
        frameOf({ v: 2, id, ok: false, code, error: "a sentence", retryAfter }),
      ]),
  },
  {
    weight: 2,
    arbitrary: data.map((data) => (id: unknown) => [
      frameOf({ v: 2, id: "another", ok: true, data: { access_token: "of another" } }),
      frameOf({ v: 2, id, ok: "odd" }),
      frameOf({ v: 2, id, ok: true, data }),
    ]),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      () => [frame("[]")],
      () => [frame("{")],
      () => [Buffer.from([0, 0, 0, 0])],
      () => [Buffer.from([0, 0, 0, 9, 123])],
      (id: unknown) => [
        frame(JSON.stringify({ id, ok: true, data: { access_token: "x", scope: "a" } }).replace("a", "\\ud800")),
      ],
      (id: unknown) => [
        frame(
          `{"id":${JSON.stringify(id)},"ok":true,"data":{"access_token":"x","more":${"[".repeat(70)}${"]".repeat(70)}}}`,
        ),
      ],
    ),
  },
)

/** A host that neither answers nor hangs up would be waited for until it is late. */
const isBounded = ({ greeting, hangsUp, replies }: Script) => {
  const isHeard = (frames: ReadonlyArray<Uint8Array>) => /"ok":(?:true|false)/.test(Buffer.concat(frames).toString())
  return hangsUp !== "never" || (isHeard(greeting) && isHeard(replies("1")))
}

const scripts: fc.Arbitrary<Script> = fc
  .record({
    greeting: greetings,
    replies,
    hangsUp: fc.constantFrom("after the greeting", "after the reply", "after the reply", "after the reply"),
    pieces: fc.constantFrom(1, 1, 3, 1000),
  })
  .filter(isBounded)

const lines = fc.constantFrom(
  ["token", "example"],
  ["token", "example"],
  ["token", "example:work"],
  ["token", "HTTPS://mcp.Example/x#work"],
)

/** What is done with nothing but the bundle's quick path first, and the whole program after it, if it is needed. */
const both = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: WholeProgram.Environment) {
  const stdout = yield* Effect.promise(() =>
    Promise.resolve()
      .then(() => Quick.answer(args, { env, isTerminal: false, stdin }))
      .catch(() => undefined),
  )
  const isQuick = stdout !== undefined
  return { isQuick, said: isQuick ? { stdout, stderr: [], code: 0 } : yield* WholeProgram.run(args, env) }
})

describe.skipIf(process.platform !== "linux")("a token from a host", () => {
  it.live("is said as the whole program says it, and asked for as often", () =>
    Effect.promise(() => {
      let answered = 0
      return fc
        .assert(
          fc.asyncProperty(scripts, lines, fc.boolean(), (script, args, isShown) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const home = yield* TemporaryHome.make
                const path = `${home}/host.sock`
                const env = { HOME: home, TOKENKEEP_SOCKET: path, ...(isShown && { TOKENKEEP_CAPABILITY: "shown" }) }
                const { heard } = yield* hostAt(path, script)
                const alone = yield* WholeProgram.run(args, env)
                const heardAlone = heard.splice(0)
                const { isQuick, said } = yield* both(args, env)
                if (isQuick) answered++
                assert.deepStrictEqual(said, alone)
                assert.deepStrictEqual(heard, heardAlone)
              }).pipe(Effect.scoped),
            ),
          ),
          { numRuns: 150 },
        )
        .then(() => assert.isAbove(answered, 0))
    }),
  )

  it.live("is asked for with what a descriptor holds, if that can be read again", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const path = `${home}/host.sock`
      const reply = { access_token: "access-1" }
      const { heard } = yield* hostAt(path, {
        greeting: [welcome],
        replies: (id) => [frameOf({ v: 2, id, ok: true, data: reply })],
        hangsUp: "never",
        pieces: 1,
      })
      writeFileSync(`${home}/capability`, "of-the-file\n")
      const descriptor = openSync(`${home}/capability`, "r")
      const env = { HOME: home, TOKENKEEP_SOCKET: path }
      const shown = { ...env, TOKENKEEP_CAPABILITY: "of-the-variable" }
      const withFile = { ...shown, TOKENKEEP_CAPABILITY_FD: String(descriptor) }
      for (const each of [env, shown, withFile]) {
        assert.deepStrictEqual(yield* both(["token", "example"], each), {
          isQuick: true,
          said: { stdout: "access-1\n", stderr: [], code: 0 },
        })
      }
      const showing = heard.flatMap((said) => (JSON.stringify(said).includes("handshake") ? [said] : []))
      assert.deepStrictEqual(
        showing.map((said) => /"capabilityToken":"(.*?)"/.exec(JSON.stringify(said))?.[1]),
        [undefined, "of-the-variable", "of-the-file"],
      )
      closeSync(descriptor)
      const closed = yield* both(["token", "example"], withFile)
      assert.isFalse(closed.isQuick)
      assert.match(closed.said.stderr.join(), /no capability can be read there/)
    }),
  )

  it.live("is refreshed by the whole program if it is not good for long enough, which does not ask for it again", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const env = { HOME: home, TOKENKEEP_SOCKET: `${home}/host.sock` }
      const expiry = Math.floor((yield* Clock.currentTimeMillis) / 1000) + 3600
      const { heard } = yield* hostAt(env.TOKENKEEP_SOCKET, {
        greeting: [welcome],
        replies: (id) => [frameOf({ v: 2, id, ok: true, data: { access_token: "access-1", expiry } })],
        hangsUp: "never",
        pieces: 1,
      })
      const operations = () =>
        heard.splice(0).flatMap((said) => /"op":"(\w+_token)"/.exec(JSON.stringify(said))?.[1] ?? [])
      const said = { stdout: "access-1\n", stderr: [], code: 0 }
      assert.deepStrictEqual(yield* both(["token", "example", "--min-ttl", "59m"], env), { isQuick: true, said })
      assert.deepStrictEqual(operations(), ["get_token"])
      // It could be refreshed, and is no better for it.
      const short = "This token is valid for less than --min-ttl says: 60 min."
      const refreshed = yield* both(["token", "example", "--min-ttl", "61m"], env)
      assert.deepStrictEqual(refreshed, { isQuick: false, said: { ...said, stderr: [short] } })
      assert.deepStrictEqual(operations(), ["get_token", "refresh_token"])
    }),
  )

  it.live("is asked for by the whole program where nobody is reached, or plugins are to be loaded", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const env = { HOME: home, TOKENKEEP_SOCKET: `${home}/host.sock` }
      const unreached = yield* both(["token", "example"], env)
      assert.isFalse(unreached.isQuick)
      assert.match(unreached.said.stderr.join(), /Nobody answers at/)
      const { heard } = yield* hostAt(`${home}/host.sock`, {
        greeting: [welcome],
        replies: (id) => [frameOf({ v: 2, id, ok: true, data: { access_token: "access-1" } })],
        hangsUp: "never",
        pieces: 1,
      })
      writeFileSync(`${home}/config.json`, JSON.stringify({ providers: ["./plugin.ts"] }))
      const own = { TOKENKEEP_HOME: home, TOKENKEEP_SOCKET: `${home}/host.sock` }
      assert.isUndefined(
        yield* Effect.promise(() =>
          Promise.resolve(Quick.answer(["token", "example"], { env: own, isTerminal: false, stdin })),
        ),
      )
      assert.deepStrictEqual(heard, [])
    }),
  )
})
