import { createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Fetch, ProviderFetch } from "../../src/oauth/ProviderFetch.ts"

/** What `fetch` says of a request to a server that treats each connection so. */
const serve = (treat: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
          const sockets = new Set<Socket>()
          const server = createServer((socket) => {
            sockets.add(socket)
            socket.on("error", () => {})
            socket.on("close", () => sockets.delete(socket))
            treat(socket)
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            const close = () => {
              server.close()
              sockets.forEach((socket) => socket.destroy())
            }
            resolve({ port, close })
          })
        }),
    ),
    ({ close }) => Effect.sync(close),
  )

const send = (url: string) =>
  Effect.flatMap(ProviderFetch, (fetch) => fetch.send(url, { method: "POST", body: "a=b" })).pipe(
    Effect.provide(ProviderFetch.layer),
  )

const failureOf = (url: string) => Effect.map(Effect.flip(send(url)), ({ what }) => what)

/** Waits for the request, and then does this. */
const afterRequest = (then: (socket: Socket) => void) => (socket: Socket) => {
  let seen = ""
  socket.on("data", (bytes: Buffer) => {
    seen += bytes.toString("utf8")
    if (seen.endsWith("a=b")) then(socket)
  })
}

describe("the fetch that is used", () => {
  it("is the one that programs set for the HTTP client of effect", () => {
    assert.strictEqual(Fetch.key, FetchHttpClient.Fetch.key)
    const other: typeof fetch = () => Promise.reject(new Error("not asked"))
    assert.strictEqual(Context.get(Context.make(FetchHttpClient.Fetch, other), Fetch), other)
  })
})

describe("a provider that", () => {
  it.live("has nobody listening at its port is unreachable", () =>
    Effect.gen(function* () {
      const { close, port } = yield* serve(() => {})
      close()
      assert.strictEqual(yield* failureOf(`http://127.0.0.1:${port}/token`), "unreachable")
      assert.strictEqual(yield* failureOf(`http://localhost:${port}/token`), "unreachable")
    }),
  )

  it.live("has no address is unreachable", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* failureOf("http://provider.invalid/token"), "unreachable")
    }),
  )

  it.live("does not speak TLS where it should is unreachable", () =>
    Effect.gen(function* () {
      const { port } = yield* serve((socket) => socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
      assert.strictEqual(yield* failureOf(`https://127.0.0.1:${port}/token`), "unreachable")
    }),
  )

  for (const [what, treat] of [
    ["ends the connection when it has the request", (socket: Socket) => void socket.end()],
    ["breaks the connection when it has the request", (socket: Socket) => void socket.resetAndDestroy()],
    ["ends the connection in its headers", (socket: Socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Le")],
    [
      "ends the connection in its answer",
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access_token":"a'),
    ],
    ["answers with what is not HTTP", (socket: Socket) => void socket.end("220 mail.example ESMTP\r\n")],
  ] as const) {
    it.live(`${what} may have acted on it`, () =>
      Effect.gen(function* () {
        const { port } = yield* serve(afterRequest(treat))
        assert.strictEqual(yield* failureOf(`http://127.0.0.1:${port}/token`), "connection-lost")
      }),
    )
  }

  it.live("answers is heard", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(
        afterRequest((socket) => void socket.end('HTTP/1.1 418 T\r\nX-A: b\r\nContent-Length: 7\r\n\r\n{"a":1}')),
      )
      const { headers, json, status } = yield* send(`http://127.0.0.1:${port}/token`)
      assert.strictEqual(status, 418)
      assert.strictEqual(headers.get("x-a"), "b")
      assert.deepStrictEqual(Redacted.value(Option.getOrThrow(json)), { a: 1 })
    }),
  )
})

const sendBy = (fetch: typeof globalThis.fetch) =>
  Effect.flatMap(ProviderFetch, (provider) => provider.send("https://id.example/", {})).pipe(
    Effect.provide(ProviderFetch.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)))),
  )

/** What is made of what `fetch` rejects with. */
const failureFrom = (error: unknown) => Effect.map(Effect.flip(sendBy(() => Promise.reject(error))), ({ what }) => what)

const because = (code: unknown) => new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code }) })

describe("a failure", () => {
  for (const code of [
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "ENETDOWN",
    "EADDRNOTAVAIL",
    "EACCES",
    "EPERM",
    "UND_ERR_CONNECT_TIMEOUT",
    "CERT_HAS_EXPIRED",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "ERR_SSL_WRONG_VERSION_NUMBER",
  ]) {
    it.effect(`called ${code} comes before anything is sent`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* failureFrom(because(code)), "unreachable")
      }),
    )
  }

  for (const code of [
    "ECONNRESET",
    "EPIPE",
    "ETIMEDOUT",
    "UND_ERR_SOCKET",
    "UND_ERR_HEADERS_TIMEOUT",
    "UND_ERR_BODY_TIMEOUT",
    "HPE_INVALID_CONSTANT",
    "XENOTFOUND",
    "ECONNREFUSEDX",
    7,
    undefined,
  ]) {
    it.effect(`called ${code} may come after the request has arrived`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* failureFrom(because(code)), "connection-lost")
      }),
    )
  }

  it.effect("of no known form may come after the request has arrived", () =>
    Effect.gen(function* () {
      for (const error of [
        new TypeError("fetch failed"),
        new Error("ENOTFOUND"),
        "ENOTFOUND",
        undefined,
        { cause: null },
      ]) {
        assert.strictEqual(yield* failureFrom(error), "connection-lost")
      }
    }),
  )
})

describe("an answer", () => {
  for (const [bytes, outcome] of [
    [1024 * 1024, "Success"],
    [1024 * 1024 + 1, "Failure"],
  ] as const) {
    it.effect(`of ${bytes} bytes is a ${outcome.toLowerCase()}`, () =>
      Effect.gen(function* () {
        const text = `{"a":"${"x".repeat(bytes - 8)}"}`
        const result = yield* Effect.result(sendBy(() => Promise.resolve(new Response(text))))
        assert.strictEqual(result._tag, outcome)
        if (result._tag === "Failure") assert.strictEqual(result.failure.what, "malformed-answer")
      }),
    )
  }

  it.effect("is waited for 15 s, not less and not more, and then the request is given up", () =>
    Effect.gen(function* () {
      let signal: AbortSignal | null | undefined
      const asking = sendBy((_, init) => {
        signal = init?.signal
        return new Promise<Response>(() => {})
      })
      const sending = yield* Effect.forkChild(Effect.flip(asking))
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(sending.pollUnsafe())
      assert.isFalse(signal?.aborted)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(sending)).what, "timeout")
      assert.isTrue(signal?.aborted)
    }),
  )
})
