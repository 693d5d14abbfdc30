/**
 * What only the server on a socket can be asked: what comes in that is no HTTP, and how it ends.
 */
import { connect, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import * as fc from "fast-check"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import { get, refreshed, refreshing } from "./BareClient.ts"
import { suite } from "./ScriptedProviderContract.ts"
import { anyText } from "../support/AnyText.ts"

suite("on a socket", ScriptedServer.layer)

const portOf = Effect.map(ScriptedProvider, ({ provider }) => Number(new URL(provider.issuer).port))

/** Speaks to the server, and waits until it has closed the connection. */
const speak = (port: number, say: (socket: Socket) => void) =>
  Effect.callback<void>((resume) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.void))
    socket.resume()
    say(socket)
    return Effect.sync(() => socket.destroy())
  })

const text = (value: string) => new TextEncoder().encode(value)

const rawRequest = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  anyText().map((target) => text(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)),
  fc
    .string()
    .map((body) => text(`POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length * 2}\r\n\r\n${body}`)),
  fc
    .constantFrom("*", "//", "http://[", "/%", "http://evil.example/token", "/\u0000")
    .map((target) => text(`POST ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)),
)

describe("the socket", () => {
  it.live("survives a thousand connections with anything on them", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      yield* Effect.forEach(fc.sample(rawRequest, 1000), (bytes) => speak(port, (socket) => socket.end(bytes)), {
        concurrency: 50,
      })
      const provider = yield* ScriptedProvider
      assert.deepStrictEqual(yield* provider.families, [])
      yield* refreshed((yield* provider.login).token.refreshToken)
    }).pipe(Effect.provide(ScriptedServer.layer())),
  )

  it.live("closes with its scope, whatever it is doing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const called = yield* Queue.unbounded<void>()
      const context = yield* Layer.buildWithScope(
        ScriptedServer.layer({
          script: [Behaviour.hang, Behaviour.slow("1 hour")],
          onCall: () => Effect.asVoid(Queue.offer(called, undefined)),
        }),
        scope,
      )
      yield* Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const port = yield* portOf
        const idle = yield* Effect.forkChild(speak(port, () => {}))
        const { token } = yield* provider.login
        const hanging = yield* Effect.forkChild(Effect.flip(refreshing(token.refreshToken)))
        const slow = yield* Effect.forkChild(Effect.flip(refreshing(token.refreshToken)))
        yield* Queue.take(called)
        yield* Queue.take(called)
        yield* Scope.close(scope, Exit.void)
        for (const fiber of [hanging, slow]) assert.instanceOf((yield* Fiber.join(fiber)).cause, TypeError)
        yield* Fiber.join(idle)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(get("/"))))
      }).pipe(Effect.provide(context))
    }),
  )

  it.live("says so when its port is taken", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      const error = yield* Effect.flip(Effect.scoped(Layer.build(ScriptedServer.layer({ port }))))
      assert.strictEqual(error._tag, "PortUnavailable")
      assert.include(error.message, `port ${port} of 127.0.0.1`)
    }).pipe(Effect.provide(ScriptedServer.layer())),
  )
})
