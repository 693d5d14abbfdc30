/**
 * {@link LoopbackListener} over Node's web server. Bound to 127.0.0.1, small headers, few connections, short patience:
 * any program and any web page on this machine can knock here.
 */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as CallbackPage from "./CallbackPage.ts"
import { type LoopbackListener, PortsTaken } from "./LoopbackListener.ts"

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
  return server
}

const listenOn = (port: number) =>
  NodeHttpServer.make(makeServer, { host: "127.0.0.1", port, exclusive: true, gracefulShutdownTimeout: "1 second" })

export const listen: LoopbackListener["Service"]["listen"] = Effect.fn("LoopbackListener.listen")(
  function* (ports, answer) {
    const candidates = ports.length === 0 ? [0] : ports
    const server = yield* Effect.firstSuccessOf(candidates.map(listenOn)).pipe(
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
    yield* server.serve(app).pipe(Effect.withTracerEnabled(false))
    return "port" in server.address ? server.address.port : 0
  },
)
