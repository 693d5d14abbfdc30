/**
 * Takes connections at an endpoint: a Unix socket, a TCP port, or a socket that whoever started us has opened already.
 */
import { createServer, type Server, type Socket as NetSocket } from "node:net"
import { NodeSocket } from "@effect/platform-node"
import { Data, Deferred, Duration, Effect, FiberSet } from "effect"
import type { Admission } from "./Admission.ts"
import type { Audit } from "./Audit.ts"
import * as Connection from "./Connection.ts"
import type { Handlers } from "./Handlers.ts"
import { PeerCredentials } from "./PeerCredentials.ts"
import * as SocketPath from "./SocketPath.ts"

/** Where to listen. */
export type Endpoint = Data.TaggedEnum<{
  /** A Unix socket, for our own user only unless `forOthers`; its folder keeps out everybody else all the same. */
  readonly Path: { readonly path: string; readonly forOthers: boolean }
  readonly Tcp: { readonly host: string; readonly port: number }
  /** Opened by whoever started this process, and left to them. */
  readonly Inherited: { readonly descriptor: number }
}>
export const Endpoint = Data.taggedEnum<Endpoint>()

export interface Options {
  readonly admission: Admission["Service"]
  readonly handlers: Handlers
  /** Requests per second and connection; 0 for any number. */
  readonly rateLimit: number
  /** Connections at a time; each holds a descriptor. */
  readonly maximumConnections: number
}

/**
 * Listens until the scope closes; then requests under way have 5 s to end. Returns the address: a path, or
 * `tcp://host:port`.
 */
export const listen = Effect.fnUntraced(function* (endpoint: Endpoint, options: Options) {
  const peers = yield* PeerCredentials
  const draining = yield* Deferred.make<void>()
  const connections = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(connections)<Audit>()

  const open = new Set<NetSocket>()
  const accept = (connection: NetSocket) => {
    open.add(connection)
    connection.once("close", () => open.delete(connection))
    // An error before anybody reads must not become an uncaught exception; the reader sees it as an end.
    connection.on("error", () => {})
    // Every reply that waits for the peer to read listens for its end; how many those are is limited elsewhere.
    connection.setMaxListeners(0)
    // The kernel forgets a peer that is gone again; whoever that was, it was before anything was read.
    const credentials = peers.of(connection)
    fork(
      Effect.gen(function* () {
        const socket = yield* NodeSocket.fromDuplex(
          Effect.acquireRelease(Effect.succeed(connection), () => hangUp(connection)),
        )
        yield* Connection.serve({
          ...options,
          socket,
          sink: sinkOf(connection),
          credentials,
          draining: Deferred.await(draining),
        })
      }),
    )
  }

  const server = yield* bind(endpoint, accept, options.maximumConnections)
  yield* Effect.addFinalizer(() =>
    Deferred.succeed(draining, undefined).pipe(
      Effect.andThen(Effect.sync(() => server.close())),
      Effect.andThen(FiberSet.awaitEmpty(connections)),
      // Somebody who does not read the replies cannot keep the server from ending.
      Effect.timeoutOption(Duration.sum(Connection.drainTime, Duration.seconds(1))),
      Effect.andThen(Effect.sync(() => open.forEach((connection) => connection.destroy()))),
    ),
  )
  const address = server.address()
  if (typeof address === "string") return address
  return address === null
    ? ""
    : `tcp://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`
})

/** Ends a connection once what was written has gone out; a peer that does not take it is not waited for. */
const hangUp = (connection: NetSocket) =>
  Effect.callback<void>((resume) => {
    connection.once("close", () => resume(Effect.void))
    connection.destroySoon()
    if (connection.closed) resume(Effect.void)
  }).pipe(Effect.timeoutOption("1 second"), Effect.andThen(Effect.sync(() => connection.destroy())))

const sinkOf = (connection: NetSocket): Connection.Sink => ({
  write: (bytes) => connection.write(bytes),
  drained: Effect.callback<void>((resume) => {
    if (!connection.writableNeedDrain || connection.destroyed) return resume(Effect.void)
    const done = () => resume(Effect.void)
    connection.once("drain", done).once("close", done)
    return Effect.sync(() => connection.off("drain", done).off("close", done))
  }),
})

const nameOf = Endpoint.$match({
  Path: ({ path }) => path,
  Tcp: ({ host, port }) => `${host}:${port}`,
  Inherited: ({ descriptor }) => `descriptor ${descriptor}`,
})

const bind = Effect.fnUntraced(function* (
  endpoint: Endpoint,
  accept: (connection: NetSocket) => void,
  maximumConnections: number,
) {
  if (endpoint._tag === "Path") yield* SocketPath.claim(endpoint.path)
  return yield* Effect.acquireRelease(
    Effect.callback<Server, SocketPath.SocketUnavailable>((resume) => {
      const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, accept)
      server.maxConnections = maximumConnections
      server.once("error", (error) =>
        resume(Effect.fail(new SocketPath.SocketUnavailable({ path: nameOf(endpoint), why: error.message }))),
      )
      server.once("listening", () => resume(Effect.succeed(server)))
      switch (endpoint._tag) {
        case "Path": {
          // The socket is bound within this call, so the mask holds for its birth and for nothing else.
          const mask = process.umask(endpoint.forOthers ? 0o111 : 0o177)
          server.listen(endpoint.path)
          process.umask(mask)
          break
        }
        case "Tcp":
          server.listen(endpoint.port, endpoint.host)
          break
        case "Inherited":
          server.listen({ fd: endpoint.descriptor })
          break
      }
    }),
    (server) => Effect.sync(() => server.close()),
  )
})
