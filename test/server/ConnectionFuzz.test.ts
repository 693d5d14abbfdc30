/**
 * Whatever can be written to a socket is written to one, while somebody honest asks the same server all the time: every
 * answer must be right and come soon, and when all is over the server must be as it was.
 *
 * A failure names its seed: TOKENKEEP_FUZZ_SEED repeats it. TOKENKEEP_FUZZ_EFFORT=20 tries twenty times as much.
 */
import { existsSync } from "node:fs"
import { setImmediate as turn, setTimeout as pause } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import * as fc from "fast-check"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import { layerServer } from "../support/BrokerOverSocket.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import { complaints, frame, frameOf, greeted, hello, open, request, within, type RawPeer } from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { anyText } from "../support/AnyText.ts"

const effort = Number(process.env["TOKENKEEP_FUZZ_EFFORT"] ?? 1)
const seed = process.env["TOKENKEEP_FUZZ_SEED"]

const check = <A>(runs: number, arbitrary: fc.Arbitrary<A>, predicate: (value: A) => Promise<void>) =>
  fc.assert(fc.asyncProperty(arbitrary, predicate), {
    numRuns: runs * effort,
    // Whoever is not answered is waited for, at each step of finding the smallest case.
    interruptAfterTimeLimit: 6000 * effort,
    ...(seed !== undefined && { seed: Number(seed) }),
  })

/** The account that is only asked for. No other case names it, so nothing may change what is answered. */
const honest = { provider: "honest", bucket: "default" }

/** What is answered. */
const honestToken = {
  access_token: "access-honest",
  expiry: 1_893_456_000,
  token_type: "bearer",
  scope: "openid offline_access",
}

/** A provider whose buckets are long in coming. */
const slow = "slow"

interface Watch {
  readonly answers: () => number
  readonly slowest: () => number
  /** What went wrong since this was asked for last. */
  readonly complaints: () => ReadonlyArray<string>
  readonly stop: () => Promise<void>
}

/** Asks on and on, and connects anew now and then. */
const beHonest = (path: string): Watch => {
  const wrong: Array<string> = []
  let answers = 0
  let slowest = 0
  const state = { isStopped: false }
  const ask = async (peer: RawPeer, name: string) => {
    const began = performance.now()
    const before = peer.replies.length
    await peer.write(request(name, "get_token", honest))
    if (!(await within("an answer to somebody honest", peer.count(before + 1)))) throw new Error("hung up on")
    slowest = Math.max(slowest, performance.now() - began)
    const { data, id, ok } = peer.replies[before] ?? {}
    assert.deepStrictEqual(
      { data, id, ok },
      {
        id: name,
        ok: true,
        data: honestToken,
      },
    )
    answers++
  }
  const asking = (async () => {
    while (!state.isStopped) {
      try {
        const peer = await greeted(path)
        for (let count = 0; count < 20 && !state.isStopped; count++) {
          await ask(peer, String(count))
          await pause(5)
        }
        peer.leave()
      } catch (error) {
        wrong.push(String(error))
        await pause(5)
      }
    }
  })()
  return {
    answers: () => answers,
    slowest: () => slowest,
    complaints: () => wrong.splice(0),
    stop: () => {
      state.isStopped = true
      return asking
    },
  }
}

/** How long the server puts up with a peer that has begun something and does not end it, in milliseconds. */
const dawdle = async (path: string, isGreeted: boolean, bytes: Uint8Array) => {
  const peer = await (isGreeted ? greeted(path) : open(path))
  const began = performance.now()
  await peer.write(bytes)
  await peer.ended
  peer.leave()
  return performance.now() - began
}

/** Bytes that keep coming, one by one, do not make a frame that has begun any younger. */
const drip = async (path: string) => {
  const peer = await greeted(path)
  const began = performance.now()
  let isOver = false
  void peer.ended.then(() => {
    isOver = true
  })
  for (const byte of request("drip", "list_providers", { text: "x".repeat(500) })) {
    if (isOver) break
    await peer.write(Uint8Array.of(byte))
    await Promise.race([pause(100), peer.ended])
  }
  peer.leave()
  return performance.now() - began
}

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

interface Usage {
  readonly heap: number
  readonly outside: number
  readonly handles: number
}

const measure = async (): Promise<Usage> => {
  for (let count = 0; count < 2; count++) {
    await turn()
    collect()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return { heap: heapUsed, outside: arrayBuffers, handles: process.getActiveResourcesInfo().length }
}

const mebibyte = 1024 * 1024

const serving = layerServer().pipe(
  Layer.provide(
    Layer.effect(
      Broker,
      Effect.map(Broker, (broker) =>
        Broker.of({
          ...broker,
          listBuckets: (provider) =>
            provider === slow ? Effect.delay(broker.listBuckets(provider), "50 millis") : broker.listBuckets(provider),
        }),
      ),
    ),
  ),
  Layer.provideMerge(BrokerHost.layerMemory([])),
  Layer.provide(BrokerConfig.layer("/nowhere")),
)

class Host extends Context.Service<
  Host,
  {
    readonly path: string
    readonly watch: Watch
    readonly before: Usage
    /** They take 5 s, so they begin with the server, and are looked at when all else is over. */
    readonly dawdlers: Promise<ReadonlyArray<number>>
  }
>()("tokenkeep/test/server/ConnectionFuzz.test/Host") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { path } = yield* UnixServer
      const store = yield* TokenStore
      const record = recordOf("honest")
      yield* store.set(Account.make(honest.provider), record)
      // Whatever is loaded or made once should not count as having been left behind.
      yield* Effect.promise(async () => {
        await Promise.all(Array.from({ length: 20 }, async () => (await greeted(path)).leave()))
      })
      const before = yield* Effect.promise(measure)
      const watch = yield* Effect.acquireRelease(
        Effect.sync(() => beHonest(path)),
        ({ stop }) => Effect.promise(stop),
      )
      const dawdlers = Promise.all([
        dawdle(path, false, Buffer.alloc(0)),
        dawdle(path, false, hello.subarray(0, 1)),
        dawdle(path, false, hello.subarray(0, -1)),
        dawdle(path, true, Buffer.alloc(1)),
        dawdle(path, true, request("1", "list_providers").subarray(0, -1)),
        dawdle(path, true, Buffer.concat([request("1", "list_providers"), Buffer.of(0, 1, 0, 0)])),
        drip(path),
      ])
      return Host.of({ path, watch, before, dawdlers })
    }),
  ).pipe(Layer.provide(serving))
}

// What is put into the fields

const strange = fc.constantFrom(
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "a\udfffb",
  "\u202e\u2066",
  "../../etc/passwd",
  "a:b",
  "%2e%2e",
  "x".repeat(200),
  "x".repeat(201),
  "\u{1f511}".repeat(100),
)
const name = fc.oneof(strange, fc.constantFrom("one", "two"), fc.string(), anyText({ maxLength: 20 }))
const numbers = fc.constantFrom(0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, -1e308, 5e-324)
const anything = fc.oneof(name, numbers, fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(null, true, "1", [], {}))
const operations = [
  "get_token",
  "refresh_token",
  "save_token",
  "remove_token",
  "list_providers",
  "list_buckets",
  "get_bucket_stats",
  "get_api_key",
  "has_api_key",
  "list_api_keys",
  "oauth_initiate",
  "oauth_exchange",
  "oauth_poll",
  "oauth_cancel",
  "cancel",
  "handshake",
]
const op = fc.oneof({ arbitrary: fc.constantFrom(...operations), weight: 4 }, { arbitrary: name, weight: 1 })
const fieldName = fc.constantFrom(
  "provider",
  "bucket",
  "token",
  "session_id",
  "code",
  "redirect_uri",
  "flow_type",
  "targetId",
  "name",
  "__proto__",
  "constructor",
  "toString",
  "toJSON",
  "",
  "\0",
)
const token = fc.record({ access_token: name, expiry: fc.oneof(fc.nat(), anything), extra: anything })
const payload = fc.oneof(
  { arbitrary: fc.dictionary(fieldName, anything), weight: 2 },
  { arbitrary: fc.record({ provider: name, bucket: name, token }), weight: 2 },
  { arbitrary: fc.record({ provider: name, token }), weight: 1 },
  { arbitrary: fc.record({ session_id: name, code: name, targetId: fc.constantFrom("0", "1", "2") }), weight: 1 },
)
const proper = fc.record({ v: fc.constantFrom(1, 2), op, payload })
/** An object that anything may be the matter with, but which has an id. */
const odd = fc.record({ v: anything, op: anything, payload: anything }, { requiredKeys: [] })
const fields = fc.oneof({ arbitrary: proper, weight: 3 }, { arbitrary: odd, weight: 1 })

/** An object that is so many deep, the frame itself counted. */
const deep = (depth: number, [before, after] = ['{"a":', "}"]) =>
  `{"v":2,"id":"1","op":"list_providers","payload":{"a":${before?.repeat(depth - 3)}{}${after?.repeat(depth - 3)}}}`
/** A request that is so many bytes long. */
const long = (length: number) => {
  const [start, end] = ['{"v":2,"id":"1","op":"list_providers","payload":{"a":"', '"}}']
  return start + "x".repeat(length - start.length - end.length) + end
}
const withId = (id: string) => `{"v":2,"id":${id},"op":"list_providers","payload":{}}`
const plain = withId('"1"')
/** Frames by hand, and whether there is an answer or an end. */
const cases: ReadonlyArray<readonly [what: string, body: string | Uint8Array, isAnswered: boolean]> = [
  ["a request", plain, true],
  ["a name twice", '{"v":1,"v":2,"id":"2","id":"1","op":"x","op":"list_providers","payload":{},"payload":{}}', true],
  ["a prototype", '{"__proto__":{"v":2},"v":2,"id":"1","op":"list_providers","payload":{"__proto__":[]}}', true],
  ["only a prototype", '{"__proto__":{"v":2,"id":"1","op":"list_providers","payload":{}}}', false],
  ["room around it", ` \r\n\t${plain}\n `, true],
  ["63 deep", deep(63), true],
  ["64 deep", deep(64), true],
  ["65 deep", deep(65), false],
  ["10,000 deep", deep(10_000), false],
  ["10,000 lists deep", deep(10_000, ["[", "]"]), false],
  ["65,536 bytes", long(65_536), true],
  ["65,537 bytes", long(65_537), false],
  ["an id of 128", withId(JSON.stringify("x".repeat(128))), true],
  ["an id of 129", withId(JSON.stringify("x".repeat(129))), false],
  ["an empty id", withId('""'), false],
  ["an id that is a number", withId("1"), false],
  ["an id that is half a character", withId('"\\ud800"'), true],
  ["an id that is a NUL", withId('"\\u0000"'), true],
  ["an id that is a prototype", withId('"__proto__"'), true],
  ["a byte order mark", Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from(plain)]), true],
  ["no UTF-8", Buffer.from(plain.replace('"1"', '"\u00ff"'), "latin1"), false],
  [
    "a surrogate in UTF-8",
    Buffer.concat([Buffer.from('{"id":"'), Buffer.of(0xed, 0xa0, 0x80), Buffer.from('"}')]),
    false,
  ],
  ["UTF-16", Buffer.from(plain, "utf16le"), false],
  ["a NUL after it", `${plain}\0`, false],
  ["two objects", plain + plain, false],
  ["half an object", plain.slice(0, -1), false],
  ["a comma too many", plain.replace("{}", "{},"), false],
  ["NaN", plain.replace("2", "NaN"), false],
  ["a number without end", plain.replace("{}", `{"a":${"9".repeat(60_000)}}`), true],
  ["a list", `[${plain}]`, false],
  ["a text", JSON.stringify(plain), false],
  ["null", "null", false],
  ["nothing", "", false],
  ["room only", "   ", false],
]

/** What was answered must be answered as described, and to somebody who asked. */
const look = ({ replies }: RawPeer, ids: ReadonlySet<unknown>) => {
  for (const [index, reply] of replies.entries()) {
    assert.deepStrictEqual(complaints(reply), [])
    if (index > 0) assert.isTrue(ids.has(reply["id"]), JSON.stringify(reply).slice(0, 500))
  }
}

/** Which of them did not go as they should. */
const tryCases = async (path: string): Promise<ReadonlyArray<string>> => {
  const wrong: Array<string> = []
  for (const [what, body, isAnswered] of cases) {
    const peer = await greeted(path)
    await peer.write(frame(body))
    const found = await within(what, peer.count(2))
    look(peer, new Set([peer.replies[1]?.["id"]]))
    if (found !== isAnswered) wrong.push(`${what} was ${found ? "answered" : "hung up on"}`)
    peer.leave()
  }
  return wrong
}

const withHost = layer(Host.layer, { excludeTestServices: true, timeout: "20 seconds" })

withHost("a connection, whatever is written to it,", (it) => {
  const test = (title: string, body: (path: string) => Promise<void>) =>
    it.effect(title, () =>
      Effect.gen(function* () {
        const { path, watch } = yield* Host
        const answers = watch.answers()
        yield* Effect.promise(() => body(path))
        assert.deepStrictEqual(watch.complaints(), [])
        // Somebody honest was served meanwhile, and still is.
        yield* Effect.promise(async () => {
          const before = performance.now()
          while (watch.answers() <= answers && performance.now() - before < 2000) await pause(2)
        })
        assert.isAbove(watch.answers(), answers)
      }),
    )

  test("ends with random bytes, and says nothing but to a handshake", (path) =>
    check(60, fc.record({ isGreeted: fc.boolean(), bytes: fc.uint8Array({ maxLength: 300 }) }), async (one) => {
      const peer = await (one.isGreeted ? greeted(path) : open(path))
      await peer.write(one.bytes)
      peer.finish()
      await within("the end of who has nothing to say", peer.ended)
      assert.isAtMost(peer.replies.length, one.isGreeted ? 1 : 0)
      peer.leave()
    }))

  test("ends with a first frame that is no handshake, and answers one that is", (path) =>
    check(
      60,
      fc.oneof(
        fc.record({ v: fc.constant(1), op: fc.constant("handshake"), payload: anything }),
        fc.record({
          v: fc.constant(1),
          op: fc.constant("handshake"),
          payload: fc.record({ minVersion: anything, maxVersion: anything }),
        }),
        fc.record({ v: anything, id: anything, op: anything, payload: anything }, { requiredKeys: [] }),
        anything,
      ),
      async (first) => {
        const peer = await open(path)
        await peer.write(frameOf(first))
        await within("an end or an answer", Promise.race([peer.ended, peer.count(1)]))
        look(peer, new Set())
        const [reply] = peer.replies
        if (reply?.["ok"] !== true) await within("the end", peer.ended)
        peer.leave()
      },
    ))

  test("answers every frame that has an id once, whatever else is in it", (path) =>
    check(40, fc.array(fields, { minLength: 1, maxLength: 30 }), async (frames) => {
      const peer = await greeted(path)
      await peer.write(Buffer.concat(frames.map((one, index) => frameOf({ ...one, id: String(index) }))))
      assert.isTrue(await within("all answers", peer.count(frames.length + 1)), "closed")
      look(peer, new Set(frames.map((_, index) => String(index))))
      assert.strictEqual(new Set(peer.replies.map((reply) => reply["id"])).size, frames.length + 1)
      peer.leave()
    }))

  test("answers or ends, whatever the id is", (path) =>
    check(
      40,
      fc.array(
        fc.record({ v: fc.constant(2), id: fc.oneof(anything, fc.constantFrom("1", "x".repeat(129))), op, payload }),
      ),
      async (frames) => {
        const peer = await greeted(path)
        await peer.write(Buffer.concat([...frames.map(frameOf), request("last", "list_providers")]))
        const isLast = () => peer.replies.some((reply) => reply["id"] === "last")
        const answered = (async () => {
          while (!isLast() && (await peer.count(peer.replies.length + 1))) await turn()
        })()
        await within("an end or an answer", answered)
        look(peer, new Set(["last", ...frames.map(({ id }) => id)]))
        const isProper = frames.every(({ id }) => typeof id === "string" && id.length >= 1 && id.length <= 128)
        if (isProper) assert.isTrue(isLast(), "closed")
        peer.leave()
      },
    ))

  test("takes what JSON allows, and ends with what it does not", async (path) => {
    assert.deepStrictEqual(await tryCases(path), [])
  })

  test("ends at once with a length that is none, and takes no memory for it", async (path) => {
    const before = await measure()
    const lengths = [0, 65_537, 0x7fffffff, 0x80000000, 0xffffffff]
    for (let count = 0; count < 20; count++) {
      for (const length of lengths) {
        const header = Buffer.alloc(4)
        header.writeUInt32BE(length)
        const peer = await greeted(path)
        await peer.write(header)
        await within(`the end after a length of ${length}`, peer.ended)
        peer.leave()
      }
    }
    const after = await measure()
    assert.isBelow(after.outside - before.outside, mebibyte)
  })

  test("understands a conversation that is cut anywhere", async (path) => {
    const conversation = Buffer.concat([
      hello,
      request("1", "get_token", honest),
      request("\u{1f511}", "list_providers"),
      frameOf({ v: 2, id: "3", op: "cancel", payload: { targetId: "1" } }),
    ])
    const heard = async (pieces: ReadonlyArray<Uint8Array>) => {
      const peer = await open(path)
      for (const piece of pieces) {
        await peer.write(piece)
        await turn()
      }
      assert.isTrue(await within("all answers", peer.count(4)), `cut into ${pieces.map((piece) => piece.byteLength)}`)
      look(peer, new Set(["1", "\u{1f511}", "3"]))
      peer.leave()
      return peer.replies.map(({ id, ok }) => [id, ok])
    }
    const whole = await heard([conversation])
    const cuts = Array.from({ length: conversation.byteLength - 1 }, (_, index) => index + 1)
    const inTwo = (at: number) => heard([conversation.subarray(0, at), conversation.subarray(at)])
    for (let at = 0; at < cuts.length; at += 16) {
      const found = await Promise.all(cuts.slice(at, at + 16).map(inTwo))
      for (const replies of found) assert.sameDeepMembers(replies, whole)
    }
    assert.sameDeepMembers(await heard([...conversation].map((byte) => Uint8Array.of(byte))), whole)
  })

  const halfClosed = async (path: string, operation: string, payload: object) => {
    const ids = Array.from({ length: 5 }, (_, index) => String(index))
    const peer = await open(path)
    await peer.write(Buffer.concat([hello, ...ids.map((id) => request(id, operation, payload))]))
    peer.finish()
    await within("the end", peer.ended)
    assert.sameMembers(
      peer.replies.slice(1).map((reply) => String(reply["id"])),
      ids,
    )
    peer.leave()
  }

  test("answers at once who has said that nothing more will come", (path) => halfClosed(path, "get_token", honest))

  it.effect("answers late who has said that nothing more will come", () =>
    Effect.flatMap(Host, ({ path }) => Effect.promise(() => halfClosed(path, "list_buckets", { provider: slow }))),
  )

  test("answers who has saved more than a reply can hold", async (path) => {
    const account = { provider: "full", bucket: "full" }
    const room = 65_536 - request("1", "save_token", { ...account, token: { access_token: "" } }).byteLength + 4
    const peer = await greeted(path)
    await peer.write(request("1", "save_token", { ...account, token: { access_token: "x".repeat(room) } }))
    await peer.write(request("2".repeat(128), "get_token", account))
    await peer.write(request("3", "remove_token", account))
    assert.isTrue(await within("all answers", peer.count(4)))
    look(peer, new Set(["1", "2".repeat(128), "3"]))
    peer.leave()
  })

  test("takes no more from who does not read than it has room for", async (path) => {
    const big = { access_token: "x".repeat(60_000), expiry: 4_000_000_000 }
    const saver = await greeted(path)
    await saver.write(request("1", "save_token", { provider: "big", token: big }))
    await within("an answer", saver.count(2))
    assert.isTrue(saver.replies[1]?.["ok"])
    const before = await measure()
    const many = 8
    const peers = await Promise.all(Array.from({ length: many }, () => open(path, { reads: false })))
    let written = 0
    for (const peer of peers) {
      await peer.write(hello)
      const asking = Buffer.concat(
        Array.from({ length: 500 }, (_, id) => request(String(id), "get_token", { provider: "big" })),
      )
      // 30 MB of answers to each, were they all made. The kernel takes what it has room for; the rest waits here.
      void peer.write(asking).then(() => {
        written++
      })
    }
    // What is made for them is made in this time, because somebody who came later is answered.
    for (let id = 2; id < 30; id++) {
      await saver.write(request(String(id), "get_token", { provider: "big" }))
      assert.isTrue(await within("an answer to who reads", saver.count(id + 1)))
    }
    const during = await measure()
    const held = during.heap + during.outside - before.heap - before.outside
    // 64 requests under way at most, and each of them with an answer of 60 kB.
    assert.isBelow(held / mebibyte, many * 6, `${written} took all`)
    for (const peer of peers) peer.leave()
    saver.leave()
    const remover = await greeted(path)
    await remover.write(request("1", "remove_token", { provider: "big" }))
    await within("an answer", remover.count(2))
    remover.leave()
  })

  test("ends with who does not read", async (path) => {
    // Takes ten seconds, so only when there is time.
    if (effort <= 1) return
    const peer = await open(path, { reads: false })
    await peer.write(hello)
    const text = "x".repeat(100)
    const asking = Buffer.concat(Array.from({ length: 20_000 }, (_, id) => request(`${id}${text}`, text)))
    await within("the end", Promise.race([peer.write(asking).then(() => peer.ended), peer.ended]), 20_000)
    peer.leave()
  })

  test("may end at any time, two thousand times", async (path) => {
    const handles = process.getActiveResourcesInfo().length
    const leave = async (index: number) => {
      const peer = await open(path)
      switch (index % 6) {
        case 0:
          return peer.leave()
        case 1:
          peer.finish()
          await within("the end", peer.ended)
          return peer.leave()
        case 2:
          await peer.write(hello.subarray(0, 1 + (index % hello.byteLength)))
          return peer.leave()
        case 3:
          // What was not read when somebody leaves is a reset for the other side.
          await peer.write(hello)
          return peer.leave()
        case 4:
          await peer.write(Buffer.concat([hello, request("1", "get_token", honest)]))
          return peer.leave()
        default:
          await peer.write(Buffer.concat([hello, request("1", "list_buckets", { provider: slow })]))
          await within("an answer to the handshake", peer.count(1))
          return peer.leave()
      }
    }
    for (let done = 0; done < 2000 * effort; done += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => leave(done + index)))
    }
    await within(
      "all descriptors given back",
      (async () => {
        while (process.getActiveResourcesInfo().length > handles + 5) await pause(5)
      })(),
    )
  })

  test("answers ten thousand requests in one write, each once", async (path) => {
    const peer = await greeted(path)
    const count = 10_000 * effort
    const ids = Array.from({ length: count }, (_, index) => String(index))
    await peer.write(Buffer.concat(ids.map((id) => request(id, "get_token", honest))))
    assert.isTrue(await within("all answers", peer.count(count + 1), 10_000 * effort))
    assert.strictEqual(new Set(peer.replies.slice(1).map((reply) => reply["id"])).size, count)
    const tokens = peer.replies.filter((reply) => reply["ok"] === true).length
    for (const reply of peer.replies) {
      assert.deepStrictEqual(complaints(reply), [])
      if (reply["ok"] !== true) assert.strictEqual(reply["code"], "RATE_LIMITED")
    }
    assert.isAbove(tokens, 60)
    peer.leave()
  })

  it.effect("does no harm to a process", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const host = yield* Program.start(["serve", "--json"], { TOKENKEEP_HOME: `${home}/keep` })
      const [, path = ""] = yield* Effect.promise(() => host.said("stdout", /"socket":"([^"]+)"/))
      yield* Effect.promise(async () => {
        const first = await greeted(path)
        await first.write(request("1", "save_token", { ...honest, token: honestToken }))
        assert.isTrue(await within("an answer", first.count(2)))
        const watch = beHonest(path)
        // Held back for minutes by the limit of 60 requests a second, and nobody else with it.
        const flood = Buffer.concat(
          Array.from({ length: 10_000 }, (_, id) => request(String(id), "list_buckets", { provider: "nobody" })),
        )
        const flooder = await greeted(path)
        void flooder.write(flood)
        const deaf = await open(path, { reads: false })
        void deaf.write(Buffer.concat([hello, flood]))
        assert.deepStrictEqual(await tryCases(path), [])
        for (let count = 0; count < 200; count++) {
          const peer = await open(path)
          await peer.write(hello.subarray(0, count % hello.byteLength))
          peer.leave()
        }
        await watch.stop()
        assert.deepStrictEqual(watch.complaints(), [])
        assert.isAbove(watch.answers(), 0)
        assert.isBelow(flooder.replies.length, 2000)

        // More than there is room for: those over it are hung up on, and when the others leave there is room again.
        const many: Array<PromiseSettledResult<RawPeer>> = []
        // No more at a time than the kernel lets wait.
        while (many.length < 1100)
          many.push(...(await Promise.allSettled(Array.from({ length: 100 }, () => greeted(path)))))
        const served = many.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
        assert.isAtLeast(served.length, 1000)
        assert.isAtMost(served.length, 1024)
        await first.write(request("2", "get_token", honest))
        assert.isTrue(await within("an answer to who was there before", first.count(3)))
        for (const peer of [...served, flooder, deaf]) peer.leave()
        const isRoom = () =>
          greeted(path).then(
            (peer) => {
              peer.leave()
              return true
            },
            () => false,
          )
        await within(
          "room for others",
          (async () => {
            while (!(await isRoom())) await pause(5)
          })(),
        )
        first.leave()
      })
      host.kill("SIGTERM")
      const { code, stderr } = yield* Effect.promise(() => host.ended)
      assert.strictEqual(code, 0)
      assert.match(stderr, /^[^\n]*More than 1024 are connected[^\n]*\n$/)
    }),
  )

  it.effect("leaves nothing behind", () =>
    Effect.gen(function* () {
      const { before, dawdlers, path, watch } = yield* Host
      for (const milliseconds of yield* Effect.promise(() => within("the end of who dawdles", dawdlers, 9000))) {
        assert.isAbove(milliseconds, 4900)
        assert.isBelow(milliseconds, 8000)
      }
      yield* Effect.promise(watch.stop)
      assert.deepStrictEqual(watch.complaints(), [])
      assert.isAbove(watch.answers(), 50)
      assert.isBelow(watch.slowest(), 2000)
      yield* Effect.promise(async () => {
        const fresh = await greeted(path)
        await fresh.write(request("fresh", "get_token", honest))
        assert.isTrue(await within("an answer", fresh.count(2)))
        assert.containSubset(fresh.replies[1], { id: "fresh", ok: true, data: { access_token: "access-honest" } })
        fresh.leave()
        await within(
          "all descriptors given back",
          (async () => {
            while (process.getActiveResourcesInfo().length > before.handles + 3) await pause(5)
          })(),
        )
        const after = await measure()
        assert.isBelow((after.heap - before.heap) / mebibyte, 12)
        assert.isBelow((after.outside - before.outside) / mebibyte, 4)
      })
    }),
  )
})

describe("a server that is told to end", () => {
  const ends = (leaves: boolean) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { path } = yield* Effect.provide(UnixServer, yield* Layer.buildWithScope(Layer.fresh(serving), scope))
      const peer = yield* Effect.promise(() => greeted(path))
      // Answered one after the other: what is written first finds out that the peer has left, the rest comes after that.
      const count = 10
      yield* Effect.promise(async () => {
        for (let id = 0; id < count; id++) {
          await peer.write(request(String(id), "list_buckets", { provider: slow }))
          await pause(2)
        }
      })
      const ended = yield* Effect.forkDetach(Scope.close(scope, Exit.void))
      while (existsSync(path)) yield* Effect.promise(() => turn())
      if (leaves) peer.leave()
      else assert.isTrue(yield* Effect.promise(() => within("the answers that were under way", peer.count(count + 1))))
      const outcome = yield* Effect.timeoutOption(Fiber.join(ended), "1 second")
      assert.isTrue(Option.isSome(outcome), "not ended after 1 s")
      peer.leave()
    })

  it.live("answers what is under way", () => ends(false))

  it.live("does not wait for who has left with a request under way", () => ends(true))
})
