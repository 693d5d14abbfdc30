import { connect, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope } from "effect"
import { listen } from "../../src/oauth/LoopbackListenerNode.ts"

/** What a connection is told, until it is closed. */
const told = (socket: Socket) =>
  Effect.callback<string>((resume) => {
    let text = ""
    socket.setEncoding("utf8").on("data", (more: string) => void (text += more))
    socket.on("error", () => {})
    socket.once("close", () => resume(Effect.succeed(text)))
  })

const connected = (port: number) =>
  Effect.callback<Socket>((resume) => {
    const socket = connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
  })

/** A listener, and what ends it. */
const begun = Effect.gen(function* () {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const port = yield* Scope.provide(
    listen([], () => Effect.succeed("signed-in")),
    scope,
  )
  return { port, end: Scope.close(scope, Exit.void) }
})

describe("the loopback listener", () => {
  it.live("ends at once although a browser has opened a connection that it does not use", () =>
    Effect.gen(function* () {
      const { end, port } = yield* begun
      const spare = yield* connected(port)
      assert.include(
        yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((page) => page.text())),
        "Signed",
      )
      const [took] = yield* Effect.timed(Effect.all([end, told(spare)], { concurrency: 2 }))
      assert.isBelow(Duration.toMillis(took), 900)
    }),
  )

  it.live("shows its page, with its headers, also to who asks for too much, or for nothing sensible", () =>
    Effect.gen(function* () {
      const { port } = yield* begun
      for (const [request, status] of [
        [`GET /callback?error_description=${"%3Cscript%3E".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
        ["<script>\u0007\r\n\r\n", 400],
      ] as const) {
        const socket = yield* connected(port)
        socket.write(request)
        const answer = yield* told(socket)
        assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
        assert.include(answer, "content-security-policy: default-src 'none'")
        assert.include(answer, "<h1>Not an answer to this login</h1>")
        assert.notInclude(answer, "script")
      }
    }),
  )
})
