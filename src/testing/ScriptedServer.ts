/**
 * {@link ScriptedProvider} on a real socket: a web server on 127.0.0.1, for clients that bring their own `fetch` or are
 * processes of their own.
 *
 * When the scope closes, so do all connections, whatever they wait for.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { Data, Deferred, Effect, FiberSet, Layer, type Scope } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import * as AuthorizationServer from "./AuthorizationServer.ts"
import { type Asked, maximumBody, type Outcome, text } from "./Exchange.ts"
import { ScriptedProvider } from "./ScriptedProvider.ts"

/** The port could not be listened on. */
export class PortUnavailable extends Data.TaggedError("PortUnavailable")<{
  readonly port: number
  readonly why: string
}> {
  override get message(): string {
    return `Cannot listen on port ${this.port} of 127.0.0.1: ${this.why}.`
  }
}

export interface Options extends AuthorizationServer.Options {
  /** Default: any free one. */
  readonly port?: number
}

/** Listens when it is built, until its scope closes. The provider's issuer says where. */
export const layer = (options: Options = {}): Layer.Layer<ScriptedProvider, PortUnavailable> =>
  Layer.effect(ScriptedProvider, make(options)).pipe(
    Layer.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]),
  )

const make = Effect.fnUntraced(function* ({ port = 0, ...options }: Options) {
  // The issuer is known only when the port is, and by then somebody may have called.
  const ready = yield* Deferred.make<readonly [issuer: string, handle: (asked: Asked) => Effect.Effect<Outcome>]>()
  const fork = yield* FiberSet.makeRuntime<never, void, never>()

  const serve = Effect.fnUntraced(function* (request: IncomingMessage, response: ServerResponse) {
    const [issuer, handle] = yield* Deferred.await(ready)
    const body = yield* readBody(request)
    const url = URL.parse(request.url ?? "/", issuer)
    const { authorization, "content-type": contentType } = request.headers
    // A client that sends on and on is told so, and cut off.
    if (body === undefined) response.setHeader("connection", "close")
    const outcome =
      url === null ? junk : yield* handle({ method: request.method ?? "GET", url, authorization, contentType, body })
    yield* Effect.sync(() => send(outcome, request, response))
  })

  const server = yield* listen(port, (request, response) => {
    const fiber = fork(
      serve(request, response).pipe(
        Effect.catchDefect((defect) =>
          Effect.andThen(
            Effect.logError("The scripted server cannot answer as it was told.", defect),
            Effect.sync(() => void request.socket.destroy()),
          ),
        ),
      ),
    )
    // A client that has gone is not waited for.
    response.once("close", () => fiber.interruptUnsafe())
  })
  const address = server.address()
  const issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : port}`
  const { controls, handle } = yield* AuthorizationServer.make(issuer, options)
  yield* Deferred.succeed(ready, [issuer, handle])
  return ScriptedProvider.of(controls)
})

/** A request target that is none. */
const junk: Outcome = { _tag: "Whole", reply: text(400, "") }

/** Undefined if it is too large; what more of it comes is thrown away. */
const readBody = (request: IncomingMessage) =>
  Effect.callback<string | undefined>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= maximumBody) chunks.push(chunk)
      else resume(Effect.undefined)
    })
    request.once("end", () => resume(Effect.succeed(Buffer.concat(chunks).toString("utf8"))))
  })

const send = (outcome: Outcome, request: IncomingMessage, response: ServerResponse): void => {
  if (outcome._tag === "Dropped") return void request.socket.destroy()
  const { body, headers, status } = outcome.reply
  // The core says what time it is.
  response.sendDate = false
  response.writeHead(status, headers)
  if (outcome._tag === "Whole") return void response.end(body)
  response.write(body.slice(0, body.length / 2), () => request.socket.destroy())
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

const listen = (port: number, listener: Listener): Effect.Effect<Server, PortUnavailable, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Server, PortUnavailable>((resume) => {
      const server = createServer(
        {
          maxHeaderSize: 16 * 1024,
          requestTimeout: 30_000,
          headersTimeout: 10_000,
          // Clients that keep connections may find one closed just as they use it; with a minute they rarely do.
          keepAliveTimeout: 60_000,
        },
        listener,
      )
      server.once("error", ({ message }) => resume(Effect.fail(new PortUnavailable({ port, why: message }))))
      server.once("listening", () => resume(Effect.succeed(server)))
      server.listen({ host: "127.0.0.1", port, exclusive: true, backlog: 1024 })
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }),
  )
