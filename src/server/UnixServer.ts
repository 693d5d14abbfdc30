/**
 * The host's own socket: whoever `Admission` lets in may do what the broker does.
 */
import { Context, Effect, type FileSystem, Layer, Path } from "effect"
import type { Broker } from "../broker/Broker.ts"
import { Admission } from "./Admission.ts"
import type { Audit } from "./Audit.ts"
import * as Handlers from "./Handlers.ts"
import * as Listener from "./Listener.ts"
import type { PeerCredentials } from "./PeerCredentials.ts"
import type { SocketUnavailable } from "./SocketPath.ts"

export interface Options {
  readonly path: string
  /** A socket that is bound there already, and is listened on as it is. */
  readonly inherited?: number
  /** Requests per second and connection. Default: 60. */
  readonly rateLimit?: number
  /** What is to be had here besides what every peer may ask for. */
  readonly operations?: Iterable<readonly [string, Handlers.Operation]>
}

/** More than any honest use needs; each holds a descriptor. */
const maximumConnections = 1024

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
    Broker | Admission | Audit | PeerCredentials | FileSystem.FileSystem | Path.Path
  > => Layer.effect(this, make(options))
}

const make = Effect.fnUntraced(function* ({ inherited, operations, path, rateLimit = 60 }: Options) {
  const paths = yield* Path.Path
  const admission = yield* Admission
  const handlers = yield* Handlers.make(operations)
  const endpoint =
    inherited === undefined
      ? Listener.Endpoint.Path({ path: paths.resolve(path), forOthers: false })
      : Listener.Endpoint.Inherited({ descriptor: inherited })
  const address = yield* Listener.listen(endpoint, { admission, handlers, rateLimit, maximumConnections })
  // Node does not ask the kernel where a socket that it was given is bound.
  return UnixServer.of({ path: inherited === undefined ? address : path })
})
