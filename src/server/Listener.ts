/**
 * Takes connections at an endpoint: a Unix socket, a TCP port, or a socket that whoever started us has opened already.
 */
import { createServer, type Server as NetServer, type Socket as NetSocket } from "node:net"
import { Clock, Data, Deferred, Duration, Effect, Exit, FiberSet } from "effect"
import type { Admission } from "./Admission.ts"
import { Audit } from "./Audit.ts"
import { Connection, drainTime, type Line, type Server } from "./Connection.ts"
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

/** A peer that takes nothing of the last words to it in this time is not waited for. */
const hangUpTime = Duration.seconds(1)

/**
 * Listens until the scope closes; then requests under way have 5 s to end. Returns the address: a path, or
 * `tcp://host:port`.
 */
export const listen = Effect.fnUntraced(function* (endpoint: Endpoint, options: Options) {
  const peers = yield* PeerCredentials
  const audit = yield* Audit
  const clock = yield* Clock.Clock
  const fork = yield* FiberSet.runtime(yield* FiberSet.make<void>())<never>()
  const complain = yield* makeComplain
  const shared = { ...options, audit, clock, fork, complain }

  const open = new Map<NetSocket, Connection>()
  const allGone = yield* Deferred.make<void>()
  let isEnding = false

  const accept = (socket: NetSocket) => {
    // The kernel's word comes first, before anything that was sent is read.
    const connection = new Connection(shared, lineOf(socket, fork), peers.of(socket))
    open.set(socket, connection)
    socket
      // Each request under way may wait for the peer to read.
      .setMaxListeners(0)
      .on("data", (chunk: Uint8Array) => connection.receive(chunk))
      .on("end", () => connection.finish())
      // The end of the connection follows.
      .on("error", () => {})
      .on("close", () => {
        open.delete(socket)
        connection.closed()
        if (isEnding && open.size === 0) Deferred.doneUnsafe(allGone, Exit.void)
      })
    socket.resume()
  }

  const server = yield* bind(endpoint, accept, options.maximumConnections)
  server
    .on("drop", () =>
      fork(
        complain(
          `More than ${options.maximumConnections} are connected to ${nameOf(endpoint)}: others are turned away.`,
        ),
      ),
    )
    .on("error", ({ message }) => fork(complain(`Cannot take connections at ${nameOf(endpoint)}: ${message}`)))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isEnding = true
      server.close()
      for (const connection of open.values()) connection.leave()
      return open.size === 0 ? Effect.void : Deferred.await(allGone)
    }).pipe(
      // Somebody who does not read the replies cannot keep the server from ending.
      Effect.timeoutOption(Duration.sum(drainTime, Duration.seconds(1))),
      Effect.andThen(Effect.sync(() => open.forEach((_, socket) => socket.destroy()))),
    ),
  )
  const address = server.address()
  if (typeof address === "string") return address
  return address === null
    ? ""
    : `tcp://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`
})

/** The same complaint is made once in this time. */
const complaintInterval = Duration.toMillis("10 seconds")

/** Different complaints that are remembered. */
const maximumComplaints = 100

const makeComplain = Effect.map(Clock.Clock, (clock) => {
  const made = new Map<string, number>()
  return (message: string, ...details: ReadonlyArray<unknown>) =>
    Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      const before = made.get(message)
      if (before !== undefined && Math.abs(now - before) < complaintInterval) return Effect.void
      if (made.size >= maximumComplaints) made.clear()
      made.set(message, now)
      return Effect.logError(message, ...details)
    })
})

const lineOf = (socket: NetSocket, fork: Server["fork"]): Line => ({
  write: (bytes) => socket.write(bytes),
  caughtUp: Effect.callback<void>((resume) => {
    if (!socket.writableNeedDrain || socket.destroyed) return resume(Effect.void)
    const forget = () => socket.off("drain", done).off("close", done)
    const done = () => {
      forget()
      resume(Effect.void)
    }
    socket.on("drain", done).on("close", done)
    return Effect.sync(forget)
  }),
  listen: (isWanted) => {
    if (isWanted === socket.isPaused()) {
      if (isWanted) socket.resume()
      else socket.pause()
    }
  },
  end: () => {
    // Not the socket's own timeout, which anything that the peer sends would put off.
    const impatience = fork(
      Effect.gen(function* () {
        let left = Number.POSITIVE_INFINITY
        while (socket.writableLength < left) {
          left = socket.writableLength
          yield* Effect.sleep(hangUpTime)
        }
        socket.destroy()
      }),
    )
    socket.once("close", () => impatience.interruptUnsafe())
    socket.destroySoon()
  },
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
    Effect.callback<NetServer, SocketPath.SocketUnavailable>((resume) => {
      const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, accept)
      server.maxConnections = maximumConnections
      server.once("error", (error) =>
        resume(Effect.fail(new SocketPath.SocketUnavailable({ path: nameOf(endpoint), why: error.message }))),
      )
      server.once("listening", () => resume(Effect.succeed(server)))
      switch (endpoint._tag) {
        case "Path":
          SocketPath.bind(server, endpoint)
          break
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
