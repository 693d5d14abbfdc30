import { createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Result } from "effect"
import { TestClock } from "effect/testing"
import { Broker } from "../../src/broker/Broker.ts"
import * as BrokerClient from "../../src/client/BrokerClient.ts"
import * as HostConnection from "../../src/client/HostConnection.ts"
import * as Frame from "../../src/server/Frame.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

interface Arrival {
  readonly socket: Socket
  readonly frame: Frame.JsonObject
}

/** A host that says hello to everybody, and leaves everything else to the test. */
const startHost = Effect.gen(function* () {
  const path = `${yield* TemporaryHome.make}/host.sock`
  const arrivals = yield* Queue.unbounded<Arrival>()
  const closed = yield* Queue.unbounded<void>()
  let connections = 0
  const server = createServer((socket) => {
    connections++
    const decoder = new Frame.Decoder()
    socket.on("error", () => {})
    socket.on("close", () => Queue.offerUnsafe(closed, undefined))
    socket.on("data", (bytes: Buffer) => {
      for (const frame of Result.getOrThrow(decoder.push(bytes))) {
        if (frame["op"] === "handshake") {
          write(socket, { v: 2, op: "handshake", ok: true, data: { version: 2 } })
        } else Queue.offerUnsafe(arrivals, { socket, frame })
      }
    })
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  yield* Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void)))
  return { path, arrivals, closed, connections: () => connections }
})

const write = (socket: Socket, frame: Frame.JsonObject) => void socket.write(Result.getOrThrow(Frame.encode(frame)))

const answer = ({ frame, socket }: Arrival, data: Frame.JsonObject) =>
  write(socket, { v: 2, id: frame["id"], ok: true, data })

describe("a connection to the host", () => {
  it.effect("is made at the first call, shared by all, and closed after five minutes without one", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      assert.strictEqual(host.connections(), 0)
      const calls = yield* Effect.forkChild(Effect.all([call("a", {}), call("b", {})], { concurrency: 2 }))
      const first = yield* Queue.take(host.arrivals)
      const second = yield* Queue.take(host.arrivals)
      answer(second, { of: String(second.frame["op"]) })
      answer(first, { of: String(first.frame["op"]) })
      assert.deepStrictEqual(yield* Fiber.join(calls), [{ of: "a" }, { of: "b" }])
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(host.connections(), 1)
      yield* TestClock.adjust("1 seconds")
      yield* Queue.take(host.closed)
      const again = yield* Effect.forkChild(call("c", {}))
      answer(yield* Queue.take(host.arrivals), { of: "c" })
      assert.deepStrictEqual(yield* Fiber.join(again), { of: "c" })
      assert.strictEqual(host.connections(), 2)
    }),
  )

  it.effect("stays open without a call, where something depends on it", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path, isKeptOpen: true })
      for (const time of ["0 seconds", "1 days"] as const) {
        yield* TestClock.adjust(time)
        const asked = yield* Effect.forkChild(call("a", {}))
        answer(yield* Queue.take(host.arrivals), { fine: true })
        yield* Fiber.join(asked)
      }
      assert.strictEqual(host.connections(), 1)
    }),
  )

  it.effect("takes no names from a host that no account can have", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        for (const [ask, data] of [
          [broker.listProviders, { providers: ["demo", "\u001b[2J"] }],
          [broker.listBuckets("demo"), { buckets: ["x".repeat(201)] }],
        ] as const) {
          const asked = yield* Effect.forkChild(Effect.flip(ask))
          answer(yield* Queue.take(host.arrivals), data)
          assert.strictEqual((yield* Fiber.join(asked))._tag, "HostFailure")
        }
      }).pipe(Effect.provide(BrokerClient.layer({ path: host.path })))
    }),
  )

  it.effect("gives up a call after 30 s, and tells the host that nobody waits for it", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      const slow = yield* Effect.forkChild(Effect.flip(call("slow", {})))
      const { frame } = yield* Queue.take(host.arrivals)
      yield* TestClock.adjust("30 seconds")
      const failure = yield* Fiber.join(slow)
      assert.include(failure.message, "30 s")
      const cancel = yield* Queue.take(host.arrivals)
      assert.containSubset(cancel.frame, { op: "cancel", payload: { targetId: frame["id"] } })
    }),
  )

  it.effect("tells the host when a call is interrupted", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      const fiber = yield* Effect.forkChild(call("slow", {}))
      const { frame } = yield* Queue.take(host.arrivals)
      yield* Fiber.interrupt(fiber)
      assert.containSubset((yield* Queue.take(host.arrivals)).frame, {
        op: "cancel",
        payload: { targetId: frame["id"] },
      })
    }),
  )

  it.effect("once lost fails the calls under way, and is made again for the next one", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      const waiting = yield* Effect.forkChild(Effect.flip(call("a", {})))
      const { socket } = yield* Queue.take(host.arrivals)
      socket.destroy()
      assert.include((yield* Fiber.join(waiting)).message, "try again")
      const again = yield* Effect.forkChild(call("b", {}))
      answer(yield* Queue.take(host.arrivals), { fine: true })
      assert.deepStrictEqual(yield* Fiber.join(again), { fine: true })
      assert.strictEqual(host.connections(), 2)
    }),
  )

  it.effect("takes garbage from a host as the loss of it", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      const waiting = yield* Effect.forkChild(Effect.flip(call("a", {})))
      const { socket } = yield* Queue.take(host.arrivals)
      socket.write(Buffer.from([255, 255, 255, 255, 0]))
      assert.include((yield* Fiber.join(waiting)).message, "try again")
      yield* Queue.take(host.closed)
    }),
  )

  it.effect("does not mind replies that nobody waits for", () =>
    Effect.gen(function* () {
      const host = yield* startHost
      const call = yield* HostConnection.make({ path: host.path })
      const fiber = yield* Effect.forkChild(call("a", {}))
      const arrival = yield* Queue.take(host.arrivals)
      write(arrival.socket, { v: 2, id: "unknown", ok: true, data: {} })
      write(arrival.socket, { what: "is this" })
      answer(arrival, { fine: true })
      assert.deepStrictEqual(yield* Fiber.join(fiber), { fine: true })
    }),
  )

  it.live("says how to start a host where there is none", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const call = yield* HostConnection.make({ path: `${home}/none.sock` })
      const failures = [yield* Effect.flip(call("a", {})), yield* Effect.flip(call("a", {}))]
      for (const failure of failures) assert.include(failure.message, "tokenkeep serve")
    }),
  )
})
