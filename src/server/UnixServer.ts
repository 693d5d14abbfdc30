/**
 * Listens on a Unix socket. The socket is 0600 from birth, in a folder that is ours alone; a folder that is not is
 * refused, not mended.
 */
import { connect, createServer, type Server, type Socket as NetSocket } from "node:net"
import { NodeSocket } from "@effect/platform-node"
import {
  Context,
  Data,
  Deferred,
  Duration,
  Effect,
  FiberSet,
  FileSystem,
  Layer,
  Option,
  Path,
  type Scope,
} from "effect"
import type { Broker } from "../broker/Broker.ts"
import type { Admission } from "./Admission.ts"
import * as Connection from "./Connection.ts"
import * as Handlers from "./Handlers.ts"
import { PeerCredentials } from "./PeerCredentials.ts"

/** The socket could not be made. */
export class SocketUnavailable extends Data.TaggedError("SocketUnavailable")<{
  readonly path: string
  readonly why: string
}> {
  override get message(): string {
    return `Cannot listen on ${this.path}: ${this.why}.`
  }
}

export interface Options {
  readonly path: string
  /** Requests per second and connection. Default: 60. */
  readonly rateLimit?: number
}

/** `sun_path` of sockaddr_un holds 108 bytes on Linux and 104 elsewhere, the closing zero included. */
const longestPath = process.platform === "linux" ? 107 : 103

/** More than any honest use needs; each holds a descriptor. */
const maximumConnections = 256

/** A socket that takes requests until its scope closes. */
export class UnixServer extends Context.Service<
  UnixServer,
  {
    /** Where it listens. */
    readonly path: string
  }
>()("tokenkeep/server/UnixServer") {
  /** Listens when the layer is built. When its scope closes, requests under way have 5 s to end. */
  static readonly layer = (
    options: Options,
  ): Layer.Layer<
    UnixServer,
    SocketUnavailable,
    Broker | Admission | PeerCredentials | FileSystem.FileSystem | Path.Path
  > => Layer.effect(this, make(options))
}

const make = Effect.fnUntraced(function* ({ path: asked, rateLimit = 60 }: Options) {
  const paths = yield* Path.Path
  const path = paths.resolve(asked)
  yield* prepare(path)
  const handle = yield* Handlers.make
  const peers = yield* PeerCredentials
  const draining = yield* Deferred.make<void>()
  const connections = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(connections)<Admission>()

  const open = new Set<NetSocket>()
  const accept = (connection: NetSocket) => {
    open.add(connection)
    connection.once("close", () => open.delete(connection))
    // An error before anybody reads must not become an uncaught exception; the reader sees it as an end.
    connection.on("error", () => {})
    // Every reply that waits for the peer to read listens for its end; how many those are is limited elsewhere.
    connection.setMaxListeners(0)
    fork(
      Effect.gen(function* () {
        const credentials = yield* peers.of(connection)
        const socket = yield* NodeSocket.fromDuplex(
          Effect.acquireRelease(Effect.succeed(connection), () => hangUp(connection)),
        )
        yield* Connection.serve({ socket, credentials, handle, rateLimit, draining: Deferred.await(draining) })
      }),
    )
  }

  const server = yield* listen(path, accept)
  yield* Effect.addFinalizer(() =>
    Deferred.succeed(draining, undefined).pipe(
      Effect.andThen(Effect.sync(() => server.close())),
      Effect.andThen(FiberSet.awaitEmpty(connections)),
      // Somebody who does not read the replies cannot keep the server from ending.
      Effect.timeoutOption(Duration.sum(Connection.drainTime, Duration.seconds(1))),
      Effect.andThen(Effect.sync(() => open.forEach((connection) => connection.destroy()))),
    ),
  )
  return UnixServer.of({ path })
})

/** Ends a connection once what was written has gone out; a peer that does not take it is not waited for. */
const hangUp = (connection: NetSocket) =>
  Effect.callback<void>((resume) => {
    connection.once("close", () => resume(Effect.void))
    connection.destroySoon()
    if (connection.closed) resume(Effect.void)
  }).pipe(Effect.timeoutOption("1 second"), Effect.andThen(Effect.sync(() => connection.destroy())))

/** Sees to it that the path can be listened on: a folder of ours, and no socket of somebody alive. */
const prepare = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const unavailable = (why: string) => new SocketUnavailable({ path, why })

  if (Buffer.byteLength(path) > longestPath) {
    return yield* unavailable(`the path is longer than ${longestPath} bytes; choose a shorter one with --socket`)
  }
  const folder = paths.dirname(path)
  yield* fs
    .makeDirectory(folder, { recursive: true, mode: 0o700 })
    .pipe(Effect.mapError(() => unavailable("its folder cannot be made")))
  const info = yield* fs.lstat(folder).pipe(Effect.mapError(() => unavailable("its folder cannot be read")))
  if (info.type !== "Directory") return yield* unavailable("its folder is not a real folder")
  if (Option.getOrUndefined(info.uid) !== process.getuid?.()) return yield* unavailable("its folder is not yours")
  if ((info.mode & 0o077) !== 0) {
    return yield* unavailable(
      "others may enter its folder; choose one of its own, which is made for you, like /tmp/my-tokenkeep/host.sock",
    )
  }

  const there = yield* fs.lstat(path).pipe(
    Effect.asSome,
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
    Effect.mapError(() => unavailable("what is there cannot be read")),
  )
  if (Option.isNone(there)) return
  if (there.value.type !== "Socket") return yield* unavailable("something that is not a socket is there")
  if (yield* isAlive(path)) return yield* unavailable("another tokenkeep is listening there")
  yield* fs.remove(path).pipe(Effect.mapError(() => unavailable("the dead socket there cannot be removed")))
})

/** Whether somebody answers at the socket. */
const isAlive = (path: string) =>
  Effect.callback<boolean>((resume) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resume(Effect.succeed(true))
    })
    probe.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code !== "ECONNREFUSED")))
    return Effect.sync(() => probe.destroy())
  })

const listen = (
  path: string,
  accept: (connection: NetSocket) => void,
): Effect.Effect<Server, SocketUnavailable, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Server, SocketUnavailable>((resume) => {
      const server = createServer({ pauseOnConnect: true }, accept)
      server.maxConnections = maximumConnections
      server.once("error", (error) => resume(Effect.fail(new SocketUnavailable({ path, why: error.message }))))
      server.once("listening", () => resume(Effect.succeed(server)))
      // The socket is bound within this call, so the mask holds for its birth and for nothing else.
      const mask = process.umask(0o177)
      server.listen(path)
      process.umask(mask)
    }),
    (server) => Effect.sync(() => server.close()),
  )
