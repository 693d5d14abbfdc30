/**
 * {@link LoopbackListener} over Node's web server. Bound to 127.0.0.1, small headers, few connections, short patience:
 * any program and any web page on this machine can knock here.
 */
import { createServer, type Server, STATUS_CODES } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as CallbackPage from "./CallbackPage.ts"
import { type LoopbackListener, PortsTaken } from "./LoopbackListener.ts"

/** What Node says of a request by itself, and which status that is; what else goes wrong is no request at all. */
const statuses: { readonly [code: string]: number } = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers what cannot be read, such as an address without end: else the person would see an error of the browser's. */
const turnAway = (error: Error, socket: Duplex) => {
  // Told already. What still comes is read and dropped: closing on unread bytes would take the answer back.
  if (!socket.writable) return
  const status = ("code" in error ? statuses[String(error.code)] : undefined) ?? 400
  const { html } = CallbackPage.render("not-this-login")
  const lines = Object.entries(CallbackPage.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  // Nothing was asked in time: that is said to the browser, which then asks again, and to nobody else.
  const rest = status === 408 ? "connection: close\r\n\r\n" : `${lines.join("")}\r\n${html}`
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${rest}`)
  if (socket instanceof Socket) socket.setTimeout(1000, () => socket.destroy())
}

const makeServer = () => {
  const server = createServer({
    maxHeaderSize: 16 * 1024,
    requestTimeout: 10_000,
    headersTimeout: 5_000,
    // Node looks at those limits only so often, every 30 s unless told otherwise.
    connectionsCheckingInterval: 1_000,
    keepAlive: false,
  })
  server.maxConnections = 256
  server.on("clientError", turnAway)
  return server
}

/** A browser opens connections in advance: those that nothing was asked on are closed at once. */
const unusedOf = (server: Server) => {
  const unused = new Set<Duplex>()
  server.on("connection", (socket: Duplex) => {
    unused.add(socket)
    socket.once("close", () => unused.delete(socket))
  })
  server.on("request", ({ socket }) => unused.delete(socket))
  return Effect.sync(() => unused.forEach((socket) => socket.destroy()))
}

const listenOn = Effect.fnUntraced(function* (port: number) {
  const server = makeServer()
  const closeUnused = unusedOf(server)
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  const listening = yield* NodeHttpServer.make(() => server, {
    host: "127.0.0.1",
    port,
    exclusive: true,
    gracefulShutdownTimeout: "1 second",
  })
  return { listening, closeUnused }
})

export const listen: LoopbackListener["Service"]["listen"] = Effect.fn("LoopbackListener.listen")(
  function* (ports, answer) {
    const candidates = ports.length === 0 ? [0] : ports
    const { closeUnused, listening } = yield* Effect.firstSuccessOf(candidates.map(listenOn)).pipe(
      Effect.mapError(() => new PortsTaken({ ports })),
    )
    const app = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const outcome = yield* answer({
        method: request.method,
        host: request.headers["host"],
        origin: request.headers["origin"],
        target: request.url,
      })
      const { html, status } = CallbackPage.render(outcome)
      return HttpServerResponse.text(html, { status, headers: CallbackPage.headers })
    })
    // The tracer would note the whole address, and the code is in it.
    yield* listening.serve(app).pipe(Effect.withTracerEnabled(false))
    yield* Effect.addFinalizer(() => closeUnused)
    return "port" in listening.address ? listening.address.port : 0
  },
)
