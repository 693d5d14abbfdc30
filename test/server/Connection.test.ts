import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, FiberSet, Option, Redacted, Ref, Result } from "effect"
import { TestClock } from "effect/testing"
import { CurrentPeer } from "../../src/broker/CurrentPeer.ts"
import { TokenNotFound, Unauthorized } from "../../src/domain/Errors.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Connected } from "../../src/domain/Peer.ts"
import { Admission, type Visitor } from "../../src/server/Admission.ts"
import { Audit } from "../../src/server/Audit.ts"
import { Connection, type Server } from "../../src/server/Connection.ts"
import * as Frame from "../../src/server/Frame.ts"
import type { Handlers } from "../../src/server/Handlers.ts"
import { everything } from "../../src/server/Rights.ts"
import * as MemoryLine from "../support/MemoryLine.ts"

const hello = (bounds: {
  readonly minVersion: unknown
  readonly maxVersion: unknown
  readonly capabilityToken?: unknown
}) => ({
  v: 1,
  op: "handshake",
  payload: bounds,
})
const anyVersion = { minVersion: 1, maxVersion: 2 }
const request = (id: string, op: string, payload: Frame.JsonObject = {}) => ({ v: 2, id, op, payload })

const visitor: Visitor = {
  peer: Connected({ uid: 1000, grant: "host" }),
  label: "host",
  rights: everything,
  whenDismissed: () => () => {},
}
const everybody = Admission.of({ label: "host", hears: () => true, admit: () => Effect.succeed(visitor) })
const nobody = Admission.of({ ...everybody, hears: () => false })
const onlyWith = (capability: string) =>
  Admission.of({
    ...everybody,
    admit: (_, shown) =>
      Option.exists(shown, (token) => Redacted.value(token) === capability)
        ? Effect.succeed(visitor)
        : Effect.fail(Unauthorized.make({})),
  })

/** `echo` answers with its payload, `hang` never, `slow` after 2 s, `fail` with an error, `die` with a defect. */
const answer: Handlers["answer"] = (op, payload) => {
  switch (op) {
    case "hang":
      return Effect.never
    case "slow":
      return Effect.as(Effect.sleep("2 seconds"), { slow: true })
    case "fail":
      return Effect.fail(TokenNotFound.make({ account: Account.make("github") }))
    case "die":
      return Effect.die(new Error("an inside that must stay inside"))
    case "huge":
      return Effect.succeed({ text: "x".repeat(Frame.maximumBytes) })
    case "who":
      return Effect.map(CurrentPeer, (peer) => ({ peer }))
    default:
      return Effect.succeed({ echo: payload })
  }
}

interface Options {
  readonly rateLimit?: number
  readonly admission?: Admission["Service"]
  readonly answer?: Handlers["answer"]
  readonly atHand?: Handlers["atHand"]
}

const connect = Effect.fnUntraced(function* (options: Options) {
  const peer = yield* MemoryLine.make
  const server: Server = {
    admission: options.admission ?? everybody,
    handlers: { answer: options.answer ?? answer, atHand: options.atHand ?? (() => undefined) },
    audit: yield* Audit,
    clock: yield* Clock.Clock,
    rateLimit: options.rateLimit ?? 1000,
    complain: Effect.logError,
    fork: yield* FiberSet.runtime(yield* FiberSet.make<void>())<never>(),
  }
  const connection = new Connection(server, peer.line, Option.none())
  peer.connect(connection)
  return { ...peer, leave: Effect.sync(() => connection.leave()) }
}, Effect.provide(Audit.layerOff))

const greeted = Effect.fnUntraced(function* (options: Options = {}) {
  const connection = yield* connect(options)
  yield* connection.send(hello(anyVersion))
  yield* connection.receive
  return connection
})

describe("the handshake", () => {
  it.effect("settles on the highest version that both sides allow", () =>
    Effect.gen(function* () {
      for (const [minVersion, maxVersion, version] of [
        [1, 2, 2],
        [1, 1, 1],
        [2, 7, 2],
      ]) {
        const { receive, send } = yield* connect({})
        yield* send(hello({ minVersion, maxVersion }))
        assert.deepStrictEqual(yield* receive, { v: version, op: "handshake", ok: true, data: { version } })
      }
    }),
  )

  it.effect("refuses versions that are not spoken, and bounds that are none, before it looks at the capability", () =>
    Effect.gen(function* () {
      for (const bounds of [
        { minVersion: 3, maxVersion: 9 },
        { minVersion: 2, maxVersion: 1 },
        { minVersion: 1.5, maxVersion: 2 },
        { minVersion: "1", maxVersion: "2" },
      ]) {
        const { receive, send, closed } = yield* connect({ admission: onlyWith("secret") })
        yield* send(hello(bounds))
        const reply = yield* receive
        assert.strictEqual(reply["ok"], false)
        assert.strictEqual(reply["code"], "UNKNOWN_VERSION")
        yield* closed
      }
    }),
  )

  it.effect("refuses a peer that may not connect, and closes", () =>
    Effect.gen(function* () {
      for (const capability of [{}, ...["wrong", "", null, 7, {}].map((shown) => ({ capabilityToken: shown }))]) {
        const { receive, send, closed } = yield* connect({ admission: onlyWith("right") })
        yield* send(hello({ ...anyVersion, ...capability }))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* receive)["code"], "UNAUTHORIZED")
        yield* closed
      }
      const admitted = yield* connect({ admission: onlyWith("right") })
      yield* admitted.send(hello({ ...anyVersion, capabilityToken: "right" }))
      assert.strictEqual((yield* admitted.receive)["ok"], true)
    }),
  )

  it.effect("of a user who may not connect is not looked at", () =>
    Effect.gen(function* () {
      const { receive, sendBytes, closed } = yield* connect({ admission: nobody })
      yield* sendBytes(Uint8Array.of(255))
      assert.strictEqual((yield* receive)["code"], "UNAUTHORIZED")
      yield* closed
    }),
  )

  it.effect("closes without a word on any other first frame", () =>
    Effect.gen(function* () {
      for (const frame of [request("1", "get_token"), {}, { ...hello(anyVersion), v: 2 }]) {
        const { send, closed, writes } = yield* connect({})
        yield* send(frame)
        yield* closed
        assert.deepStrictEqual(writes, [])
      }
    }),
  )

  it.effect("must come within 5 s", () =>
    Effect.gen(function* () {
      const { isClosed } = yield* connect({})
      yield* TestClock.adjust("4999 millis")
      assert.isFalse(isClosed())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isClosed())
    }),
  )
})

describe("frames", () => {
  it.effect("that are too large, or no object, close the connection", () =>
    Effect.gen(function* () {
      for (const bytes of [
        [0, 1, 0, 1],
        [255, 255, 255, 255],
        [0, 0, 0, 0],
        [0, 0, 0, 2, 91, 93],
      ]) {
        const { sendBytes, closed } = yield* greeted()
        yield* sendBytes(Uint8Array.from(bytes))
        yield* closed
      }
    }),
  )

  it.effect("that have begun must be complete within 5 s, however slowly they come", () =>
    Effect.gen(function* () {
      const { sendBytes, isClosed } = yield* greeted()
      const frame = Result.getOrThrow(Frame.encode(request("1", "echo")))
      for (const byte of frame.subarray(0, 4)) {
        yield* sendBytes(Uint8Array.of(byte))
        yield* TestClock.adjust("1200 millis")
      }
      assert.isFalse(isClosed())
      yield* TestClock.adjust("200 millis")
      assert.isTrue(isClosed())

      const patient = yield* greeted()
      yield* patient.sendBytes(frame.subarray(0, 7))
      yield* TestClock.adjust("4900 millis")
      yield* patient.sendBytes(frame.subarray(7))
      assert.strictEqual((yield* patient.receive)["id"], "1")
      yield* TestClock.adjust("10 minutes")
      assert.isFalse(patient.isClosed())
    }),
  )

  it.effect("that come many at once are all answered, with one write for each hundred of them", () =>
    Effect.gen(function* () {
      const connection = yield* greeted({ rateLimit: 100_000 })
      const ids = Array.from({ length: 350 }, (_, i) => String(i))
      const frames = ids.map((id) => Result.getOrThrow(Frame.encode(request(id, "echo"))))
      yield* connection.sendBytes(Buffer.concat(frames))
      const answered: Array<unknown> = []
      for (const _ of ids) answered.push((yield* connection.receive)["id"])
      assert.sameMembers(answered, ids)
      assert.strictEqual(connection.writes.length, 1 + 4)
    }),
  )
})

describe("requests", () => {
  it.effect("are answered when they are done, whatever the order", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      yield* send(request("a", "slow"))
      yield* send(request("b", "echo", { x: 1 }))
      assert.deepStrictEqual(yield* receive, { v: 2, id: "b", ok: true, data: { echo: { x: 1 } } })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* receive, { v: 2, id: "a", ok: true, data: { slow: true } })
    }),
  )

  it.effect("are made in the name of the peer", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      yield* send(request("a", "who"))
      assert.containSubset(yield* receive, { data: { peer: { uid: 1000, grant: "host" } } })
    }),
  )

  it.effect("that fail carry a code and our own words; a defect says nothing of its inside", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      yield* send(request("a", "fail"))
      const failed = yield* receive
      assert.strictEqual(failed["code"], "NOT_FOUND")
      assert.include(String(failed["error"]), "tokenkeep login github")
      yield* send(request("b", "die"))
      const defect = yield* receive
      assert.strictEqual(defect["code"], "INTERNAL_ERROR")
      assert.notInclude(JSON.stringify(defect), "inside that must")
      yield* send(request("c", "huge"))
      assert.strictEqual((yield* receive)["code"], "INTERNAL_ERROR")
    }),
  )

  it.effect("that are not requests are answered if they can be, else the connection is closed", () =>
    Effect.gen(function* () {
      const { receive, send, closed } = yield* greeted()
      yield* send({ v: 3, id: "a", op: "echo", payload: {} })
      assert.containSubset(yield* receive, { id: "a", code: "INVALID_REQUEST" })
      yield* send({ v: 2, id: "b", op: "echo", payload: [] })
      assert.containSubset(yield* receive, { id: "b", code: "INVALID_REQUEST" })
      yield* send({ v: 2, id: "x".repeat(129), op: "echo", payload: {} })
      yield* closed
    }),
  )

  it.effect("need an id that no other request under way has", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      yield* send(request("a", "slow"))
      yield* send(request("a", "echo"))
      assert.containSubset(yield* receive, { id: "a", code: "INVALID_REQUEST" })
      yield* TestClock.adjust("2 seconds")
      assert.containSubset(yield* receive, { id: "a", ok: true })
      yield* send(request("a", "echo"))
      assert.containSubset(yield* receive, { id: "a", ok: true })
    }),
  )

  it.effect("end after 30 s", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      yield* send(request("a", "hang"))
      yield* TestClock.adjust("30 seconds")
      assert.containSubset(yield* receive, { id: "a", code: "INTERNAL_ERROR" })
    }),
  )

  it.effect("are interrupted by cancel, and answered with it, once", () =>
    Effect.gen(function* () {
      const interrupted = yield* Ref.make(0)
      const { receive, send, writes } = yield* greeted({
        answer: () => Effect.onInterrupt(Effect.never, () => Ref.update(interrupted, (n) => n + 1)),
      })
      yield* send(request("a", "hang"))
      yield* send(request("c", "cancel", { targetId: "a" }))
      assert.containSubset(yield* receive, { id: "a", ok: false, code: "CANCELLED" })
      assert.deepStrictEqual(yield* receive, { v: 2, id: "c", ok: true, data: {} })
      assert.strictEqual(yield* Ref.get(interrupted), 1)
      yield* send(request("d", "cancel", { targetId: "a" }))
      assert.deepStrictEqual(yield* receive, { v: 2, id: "d", ok: true, data: {} })
      assert.strictEqual(writes.length, 3)
    }),
  )

  it.effect("that were cancelled make room for others, however many those were", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      for (let i = 0; i < 200; i++) {
        yield* send(request(`${i}`, "hang"))
        yield* send(request(`c${i}`, "cancel", { targetId: `${i}` }))
        assert.containSubset(yield* receive, { id: `${i}`, code: "CANCELLED" })
        assert.containSubset(yield* receive, { id: `c${i}`, ok: true })
      }
    }),
  )

  it.effect("over the limit are refused with the time to wait, and others still pass", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted({ rateLimit: 2 })
      for (const id of ["a", "b"]) {
        yield* send(request(id, "echo"))
        assert.containSubset(yield* receive, { id, ok: true })
      }
      yield* send(request("c", "echo"))
      assert.containSubset(yield* receive, { id: "c", code: "RATE_LIMITED", retryAfter: 1 })
      yield* TestClock.adjust("500 millis")
      yield* send(request("d", "echo"))
      assert.containSubset(yield* receive, { id: "d", ok: true })
    }),
  )

  it.effect("under way are limited in number", () =>
    Effect.gen(function* () {
      const { receive, send } = yield* greeted()
      for (let i = 0; i < 64; i++) yield* send(request(String(i), "hang"))
      yield* send(request("one too many", "echo"))
      assert.containSubset(yield* receive, { id: "one too many", code: "RATE_LIMITED" })
      yield* send(request("c", "cancel", { targetId: "0" }))
      assert.containSubset(yield* receive, { id: "0", code: "CANCELLED" })
    }),
  )
})

describe("a peer that does not read", () => {
  it.effect("is waited for 10 s, and until then has no more than so many replies made for it", () =>
    Effect.gen(function* () {
      const handled = yield* Ref.make(0)
      const { send, isClosed, stopReading } = yield* greeted({
        answer: () =>
          Effect.as(
            Ref.update(handled, (n) => n + 1),
            {},
          ),
        rateLimit: 100_000,
      })
      yield* stopReading
      for (let i = 0; i < 500; i++) yield* send(request(String(i), "echo"))
      yield* TestClock.adjust("9999 millis")
      assert.isAtMost(yield* Ref.get(handled), 64)
      assert.isFalse(isClosed())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isClosed())
    }),
  )
})

describe("a peer that has nothing more to say", () => {
  it.effect("still gets the answers, and then is let go", () =>
    Effect.gen(function* () {
      const { finish, isClosed, receive, send } = yield* greeted()
      yield* send(request("a", "slow"))
      yield* finish
      assert.isFalse(isClosed())
      yield* TestClock.adjust("2 seconds")
      assert.containSubset(yield* receive, { id: "a", ok: true })
      assert.isTrue(isClosed())
    }),
  )
})

describe("a peer that is dismissed", () => {
  it.effect("hears so of what is under way, and is let go", () =>
    Effect.gen(function* () {
      const leaves = new Set<() => void>()
      const whenDismissed = (leave: () => void) => {
        leaves.add(leave)
        return () => leaves.delete(leave)
      }
      const admission = Admission.of({ ...everybody, admit: () => Effect.succeed({ ...visitor, whenDismissed }) })
      const { isClosed, receive, send } = yield* greeted({ admission })
      yield* send(request("a", "hang"))
      for (const leave of leaves) leave()
      assert.containSubset(yield* receive, { id: "a", code: "UNAUTHORIZED" })
      assert.isTrue(isClosed())
      assert.strictEqual(leaves.size, 0)
    }),
  )
})

describe("what is known at once", () => {
  it.effect("is answered before anything that has to be asked for, with one write", () =>
    Effect.gen(function* () {
      const token = { accessToken: Redacted.make("at hand"), tokenType: "bearer", extras: {} }
      const atHand: Handlers["atHand"] = (op) =>
        op === "get_token" ? { data: Redacted.make('{"known":true}'), account: "github", token } : undefined
      const { receive, sendBytes, writes } = yield* greeted({ atHand })
      const frames = ["a", "b"].map((id) => Result.getOrThrow(Frame.encode(request(id, "get_token"))))
      yield* sendBytes(Buffer.concat(frames))
      assert.deepStrictEqual(yield* receive, { v: 2, id: "a", ok: true, data: { known: true } })
      assert.deepStrictEqual(yield* receive, { v: 2, id: "b", ok: true, data: { known: true } })
      assert.strictEqual(writes.length, 2)
    }),
  )
})

describe("a server that shuts down", () => {
  it.effect("lets requests under way end, for 5 s, and takes no more", () =>
    Effect.gen(function* () {
      const { leave, receive, send, isClosed, writes } = yield* greeted()
      yield* send(request("a", "slow"))
      yield* send(request("b", "hang"))
      yield* TestClock.adjust("1 seconds")
      yield* leave
      yield* send(request("c", "echo"))
      yield* TestClock.adjust("1 seconds")
      assert.containSubset(yield* receive, { id: "a", ok: true })
      yield* TestClock.adjust("3999 millis")
      assert.isFalse(isClosed())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isClosed())
      assert.strictEqual(writes.length, 2)
    }),
  )
})
