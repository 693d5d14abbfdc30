/**
 * A client that was written from the protocol's description alone, in another language, against the program as it is run.
 * It holds every reply against the description by itself, and ends with a code of its own if one does not fit.
 */
import { createServer, type Socket } from "node:net"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as Program from "../support/Program.ts"
import * as Race from "../support/RefreshRace.ts"
import * as WireClient from "../support/WireClient.ts"

const { exit, run } = WireClient

/** `tokenkeep serve`, over a store that the tests can write to. */
class Host extends Context.Service<Host, { readonly socket: string }>()("tokenkeep/test/e2e/WireClient.test/Host") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      yield* Race.configure
      const server = yield* Program.start(["serve", "--json"], { TOKENKEEP_HOME: yield* Race.homeFolder })
      const [, socket = ""] = yield* Effect.promise(() => server.said("stdout", /"socket":"([^"]+)"/))
      return Host.of({ socket })
    }),
  ).pipe(Layer.provideMerge(Race.places()))
}

const ask = Effect.fnUntraced(function* (options: Parameters<typeof run>[1]) {
  const { socket } = yield* Host
  const { code, replies, stderr } = yield* run(socket, options)
  const [handshake, ...rest] = replies
  return { code, stderr, handshake, replies: rest }
})

const hex = (text: string) => {
  const body = Buffer.from(text)
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.byteLength)
  return Buffer.concat([header, body]).toString("hex")
}

/** What a peer writes first, seen by a server that then turns it away. */
const firstWords = (client: (socket: string) => ReturnType<typeof run>) =>
  Effect.gen(function* () {
    const heard: Array<string> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const listening = createServer((peer: Socket) => {
          peer.on("error", () => {})
          peer.once("data", (bytes: Buffer) => {
            heard.push(bytes.subarray(4).toString("utf8"))
            const refused = { v: 1, op: "handshake", ok: false, code: "UNAUTHORIZED", error: "Not you." }
            peer.end(Buffer.from(hex(JSON.stringify(refused)), "hex"))
          })
        })
        listening.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(listening)))
      }),
      (listening) => Effect.sync(() => listening.close()),
    )
    const bound = server.address()
    const port = typeof bound === "object" && bound !== null ? bound.port : 0
    const outcome = yield* client(`tcp://127.0.0.1:${port}`)
    return { outcome, heard: heard.map((text): unknown => JSON.parse(text)) }
  }).pipe(Effect.scoped)

describe.skipIf(!WireClient.isThere)("a client in Python (skipped where there is no python3)", () => {
  layer(Host.layer, { excludeTestServices: true })((it) => {
    it.effect("gets tokens, lists what there is, saves and removes", () =>
      Effect.gen(function* () {
        const { account } = yield* Race.expiredLogin("work")
        const { bucket, provider } = account
        const saved = { access_token: "by hand", expiry: 4_000_000_000, refresh_token: "not to be kept" }
        const { code, handshake, replies, stderr } = yield* ask({
          args: ["--timings"],
          lines: [
            { op: "refresh_token", payload: { provider, bucket } },
            { op: "get_token", payload: { provider, bucket } },
            // Too early for another one, and the token is good.
            { op: "refresh_token", payload: { provider, bucket } },
            { op: "list_providers" },
            { op: "save_token", payload: { provider, bucket: "other", token: saved } },
            { op: "list_buckets", payload: { provider } },
            { op: "get_token", payload: { provider, bucket: "other" } },
            { op: "remove_token", payload: { provider, bucket: "other" } },
            { op: "get_token", payload: { provider, bucket: "other" } },
          ],
        })
        assert.strictEqual(code, exit.answered, stderr)
        assert.deepStrictEqual(handshake, { v: 2, op: "handshake", ok: true, data: { version: 2 } })
        const data = replies.map((reply) => reply["data"])
        assert.deepStrictEqual(data[1], data[0])
        assert.deepStrictEqual(data[2], data[0])
        assert.deepStrictEqual(data.slice(3, 6), [{ providers: [provider] }, {}, { buckets: ["other", bucket] }])
        assert.deepStrictEqual(data[6], { access_token: "by hand", expiry: 4_000_000_000, token_type: "bearer" })
        assert.deepStrictEqual(data[7], {})
        assert.strictEqual(replies[8]?.["code"], "NOT_FOUND")
        for (const reply of replies) assert.isNumber(reply["ms"])
      }),
    )

    it.effect("is told by a code what was wrong", () =>
      Effect.gen(function* () {
        const cases = [
          [{ op: "frobnicate" }, "INVALID_REQUEST"],
          [{ op: "__proto__" }, "INVALID_REQUEST"],
          [{ op: "handshake", payload: { minVersion: 1, maxVersion: 2 } }, "INVALID_REQUEST"],
          [{ op: "get_token" }, "INVALID_REQUEST"],
          [{ op: "get_token", payload: { provider: 7 } }, "INVALID_REQUEST"],
          [{ op: "save_token", payload: { provider: "scripted", token: {} } }, "INVALID_REQUEST"],
          [{ op: "get_token", payload: { provider: "nobody" } }, "NOT_FOUND"],
          [{ op: "oauth_initiate", payload: { provider: "nobody" } }, "PROVIDER_NOT_CONFIGURED"],
          [{ op: "oauth_poll", payload: { session_id: "0".repeat(32) } }, "SESSION_NOT_FOUND"],
          [{ op: "oauth_exchange", payload: { session_id: "0".repeat(32), code: "c" } }, "SESSION_NOT_FOUND"],
          [{ op: "oauth_cancel", payload: { session_id: "0".repeat(32) } }, undefined],
          [{ op: "cancel", payload: { targetId: "nothing" } }, undefined],
        ] as const
        const { code, replies, stderr } = yield* ask({ lines: cases.map(([line]) => line) })
        assert.strictEqual(code, exit.answered, stderr)
        assert.deepStrictEqual(
          replies.map((reply) => reply["code"]),
          cases.map(([, expected]) => expected),
        )
      }),
    )

    it.effect("may ask for statistics and keys", () =>
      Effect.gen(function* () {
        const { code, replies, stderr } = yield* ask({
          lines: [
            { op: "get_bucket_stats", payload: { provider: "nobody", bucket: "none" } },
            { op: "has_api_key", payload: { name: "none" } },
            { op: "get_api_key", payload: { name: "none" } },
            { op: "list_api_keys" },
          ],
        })
        assert.strictEqual(code, exit.answered, stderr)
        assert.deepStrictEqual(
          replies.map((reply) => reply["code"]),
          ["NOT_FOUND", undefined, "NOT_FOUND", undefined],
        )
      }),
    )

    it.effect("logs in: a device code, and a code that is carried over by hand", () =>
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const account = { provider: provider.provider.name, bucket: "login" }
        const begun = yield* ask({
          lines: [
            { op: "oauth_initiate", payload: { ...account, flow_type: "device_code" } },
            { op: "oauth_initiate", payload: { ...account, flow_type: "pkce_redirect" } },
          ],
        })
        assert.strictEqual(begun.code, exit.answered, begun.stderr)
        const [device, pasted] = begun.replies.map((reply): { readonly [name: string]: string } =>
          JSON.parse(JSON.stringify(reply["data"])),
        )
        const back = yield* provider.grant(pasted?.["auth_url"] ?? "")
        const paste = { session_id: pasted?.["session_id"], code: back }
        const wait = { session_id: device?.["session_id"] }
        const ended = yield* ask({
          lines: [
            { op: "oauth_poll", payload: wait },
            { op: "oauth_exchange", payload: { ...wait, code: "unsuited" } },
            { op: "oauth_cancel", payload: wait },
            { op: "oauth_poll", payload: wait },
            { op: "oauth_poll", payload: { session_id: paste.session_id } },
            { op: "oauth_exchange", payload: paste },
            { op: "oauth_exchange", payload: paste },
            { op: "get_token", payload: account },
            { op: "remove_token", payload: account },
          ],
        })
        assert.strictEqual(ended.code, exit.answered, ended.stderr)
        const [pending, unsuited, cancelled, gone, wrongWay, token, replayed, stored] = ended.replies
        assert.containSubset(pending, { ok: true, data: { status: "pending" } })
        assert.containSubset(unsuited, { code: "INVALID_REQUEST" })
        assert.containSubset(cancelled, { ok: true, data: {} })
        assert.containSubset(gone, { code: "SESSION_NOT_FOUND" })
        assert.containSubset(wrongWay, { code: "INVALID_REQUEST" })
        assert.containSubset(replayed, { code: "SESSION_NOT_FOUND" })
        assert.isTrue(token?.["ok"])
        assert.deepStrictEqual(stored?.["data"], token?.["data"])
      }),
    )

    it.effect("settles on a version, or is turned away", () =>
      Effect.gen(function* () {
        const { socket } = yield* Host
        const cases = [
          [1, 1, 1],
          [2, 2, 2],
          [1, 2, 2],
          [1, 99, 2],
          [-7, 1, 1],
          [3, 3, "UNKNOWN_VERSION"],
          [2, 1, "UNKNOWN_VERSION"],
          [0, 0, "UNKNOWN_VERSION"],
        ] as const
        const found = yield* Effect.forEach(
          cases,
          ([min, max]) => run(socket, { args: [`--min=${min}`, `--max=${max}`] }),
          { concurrency: 2 },
        )
        for (const [index, [, , expected]] of cases.entries()) {
          const { code, replies, stderr } = found[index] ?? { code: null, replies: [], stderr: "" }
          if (expected === "UNKNOWN_VERSION") {
            assert.strictEqual(code, exit.refused, stderr)
            assert.containSubset(replies, [{ op: "handshake", ok: false, code: expected }])
          } else {
            assert.strictEqual(code, exit.answered, stderr)
            assert.deepStrictEqual(replies, [{ v: expected, op: "handshake", ok: true, data: { version: expected } }])
          }
        }
      }),
    )

    it.effect("is answered out of order, and may cancel", () =>
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { account } = yield* Race.expiredLogin("slow")
        const payload = { provider: account.provider, bucket: account.bucket }
        yield* provider.script([Behaviour.slow("1 second")])
        const { code, replies, stderr } = yield* ask({
          args: ["--pipeline"],
          lines: [
            { op: "refresh_token", id: "cancelled", payload },
            { op: "refresh_token", id: "slow", payload },
            { op: "list_providers", id: "fast" },
            { op: "cancel", id: "cancelling", payload: { targetId: "cancelled" } },
          ],
        })
        assert.strictEqual(code, exit.answered, stderr)
        const order = replies.map((reply) => reply["id"])
        assert.sameMembers(order, ["cancelled", "slow", "fast", "cancelling"])
        assert.strictEqual(order.at(-1), "slow")
        const byId = (id: string) => replies.find((reply) => reply["id"] === id)
        assert.strictEqual(byId("cancelled")?.["code"], "CANCELLED")
        assert.deepStrictEqual(byId("cancelling")?.["data"], {})
        // Somebody else is still waiting for the same refresh.
        assert.isTrue(byId("slow")?.["ok"])
        assert.deepStrictEqual(yield* provider.unplayed, [])

        const first = yield* ask({ args: ["--max=1"], lines: [{ op: "cancel", payload: { targetId: "1" } }] })
        assert.containSubset(first, { code: exit.answered, replies: [{ v: 1, code: "INVALID_REQUEST" }] })
      }),
    )

    it.effect("is told when to ask again, by the provider and by the host", () =>
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { account } = yield* Race.expiredLogin("busy")
        yield* provider.script([Behaviour.tooManyRequests("120 seconds")])
        const payload = { provider: account.provider, bucket: account.bucket }
        const refused = yield* ask({ lines: [{ op: "refresh_token", payload }] })
        assert.containSubset(refused, { code: exit.answered, replies: [{ ok: false, code: "RATE_LIMITED" }] })
        assert.isAtMost(Math.abs(Number(refused.replies[0]?.["retryAfter"]) - 120), 10)

        const lines = Array.from({ length: 100 }, () => ({ op: "list_providers" }))
        const flood = yield* ask({ args: ["--pipeline"], lines })
        assert.strictEqual(flood.code, exit.answered, flood.stderr)
        assert.lengthOf(flood.replies, 100)
        const failed = flood.replies.filter((reply) => reply["ok"] === false)
        assert.isAbove(failed.length, 0)
        for (const reply of failed) assert.containSubset(reply, { code: "RATE_LIMITED", retryAfter: 1 })
      }),
    )

    it.effect("is hung up on when it does not speak the protocol", () =>
      Effect.gen(function* () {
        const { socket } = yield* Host
        const hello = '{"v":1,"op":"handshake","payload":{"minVersion":1,"maxVersion":2}}'
        const get = '{"v":2,"id":"1","op":"list_providers","payload":{}}'
        const before = ["--no-handshake", "--wait=5", "--raw"]
        const after = ["--wait=5", "--raw"]
        const cases = [
          [...before, hex(get)],
          [...before, hex("{}")],
          [...before, hex(hello.replace("handshake", "hello"))],
          [...before, hex(hello.replace("minVersion", "minimum"))],
          [...after, "00010001"],
          [...after, "ffffffff"],
          [...after, "00000000"],
          [...after, hex("not json")],
          [...after, hex("[1]")],
          [...after, hex("null")],
          [...after, hex("{") + hex("}")],
          [...after, `00000002${"ff".repeat(2)}`],
        ]
        const found = yield* Effect.forEach(cases, (args) => run(socket, { args }), { concurrency: 2 })
        for (const [index, { code, replies, stderr }] of found.entries()) {
          const words = `${cases[index]?.join(" ")}: ${stderr}`
          // Bounds that are missing are bounds that are none: an answer is as good.
          const isAnswered = index === 3 && replies.length === 1
          assert.strictEqual(code, exit.closed, words)
          const greeted = cases[index]?.[0] === "--no-handshake" ? 0 : 1
          if (!isAnswered) assert.lengthOf(replies, greeted, words)
        }
      }),
    )

    it.effect("shows a capability that is in its environment or behind a descriptor, and in no argument", () =>
      Effect.gen(function* () {
        const [variable, descriptor] = yield* Effect.all([
          firstWords((socket) => run(socket, { environment: { TOKENKEEP_CAPABILITY: "from a variable" } })),
          firstWords((socket) =>
            run(socket, {
              environment: { TOKENKEEP_CAPABILITY_FD: "3", TOKENKEEP_CAPABILITY: "not this" },
              behindDescriptor: "from a descriptor\n",
            }),
          ),
        ])
        for (const [{ heard, outcome }, capabilityToken] of [
          [variable, "from a variable"],
          [descriptor, "from a descriptor"],
        ] as const) {
          assert.strictEqual(outcome.code, exit.refused, outcome.stderr)
          const payload = { minVersion: 1, maxVersion: 2, capabilityToken }
          assert.deepStrictEqual(heard, [{ v: 1, op: "handshake", payload }])
        }
        const { code, stderr } = yield* ask({ environment: { TOKENKEEP_CAPABILITY: "to whom it may concern" } })
        // Who is let in by its user id needs none; that it shows one all the same is no reason to turn it away.
        assert.include([exit.answered, exit.refused], code, stderr)
      }),
    )
  })
})
