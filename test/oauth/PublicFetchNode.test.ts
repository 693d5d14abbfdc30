/**
 * What a server may say to who asks it within the guard: each has an end, as an answer or as a failure.
 */
import { createServer, type Server } from "node:net"
import { lookup } from "node:dns"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { make } from "../../src/oauth/PublicFetchNode.ts"

/** Says these bytes to whoever connects, and hangs up. */
const saying = (bytes: string) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () => socket.end(bytes))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close()),
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`
    }),
  )

const fetch = make(
  (hostname, options, callback) => lookup(hostname, options, callback),
  () => true,
)

const head = (status: string, ...headers: ReadonlyArray<string>) =>
  [`HTTP/1.1 ${status}`, ...headers, "", ""].join("\r\n")

describe("an answer within the guard", () => {
  for (const [what, bytes, expected] of [
    ["that is one", `${head("200 OK", "content-length: 2")}{}`, "200 {}"],
    ["without a body", head("204 No Content"), "204 "],
    ["that switches protocols", head("101 Switching Protocols", "upgrade: x", "connection: upgrade"), "failed"],
    ["that only says to go on", head("100 Continue"), "failed"],
    ["of no status there is", head("999 Odd"), "failed"],
    ["that is cut", `${head("200 OK", "content-length: 9")}{}`, "failed"],
    ["that is no HTTP", "SSH-2.0-OpenSSH\r\n", "failed"],
    ["that is nothing", "", "failed"],
    ["with headers without end", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(50_000)}`, "failed"],
  ] as const) {
    it.live(`${what} is ${expected}`, () =>
      Effect.gen(function* () {
        const url = yield* saying(bytes)
        const answer = Effect.tryPromise(() =>
          fetch(url, {}).then((response) => response.text().then((body) => `${response.status} ${body}`)),
        )
        assert.strictEqual(yield* Effect.orElseSucceed(answer, () => "failed"), expected)
      }).pipe(Effect.scoped, Effect.timeout("5 seconds")),
    )
  }
})
