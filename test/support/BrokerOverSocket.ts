/**
 * A host on a socket of its own in a temporary folder, and a broker that asks it.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, type Redacted } from "effect"
import type { Broker } from "../../src/broker/Broker.ts"
import * as BrokerClient from "../../src/client/BrokerClient.ts"
import { Admission } from "../../src/server/Admission.ts"
import { Audit } from "../../src/server/Audit.ts"
import { PeerCredentials } from "../../src/server/PeerCredentials.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import * as TemporaryHome from "./TemporaryHome.ts"

interface Options {
  readonly admission?: Layer.Layer<Admission>
  readonly rateLimit?: number
}

/** Serves the broker of the context. */
export const layerServer = ({
  admission = Admission.layerUser(process.getuid?.() ?? -1),
  rateLimit = 100_000,
}: Options = {}) =>
  Layer.unwrap(
    Effect.map(TemporaryHome.make, (home) => UnixServer.layer({ path: `${home}/run/host.sock`, rateLimit })),
  ).pipe(Layer.provide([admission, Audit.layerOff, PeerCredentials.layer, NodeServices.layer]))

/** The other side of a server. */
export const layerClient = (capability?: Redacted.Redacted) =>
  Layer.unwrap(
    Effect.map(UnixServer, ({ path }) => BrokerClient.layer({ path, ...(capability !== undefined && { capability }) })),
  )

/** Puts a socket between a broker and its caller. */
export const overSocket = <A, E, R>(broker: Layer.Layer<Broker | A, E, R>) =>
  layerClient().pipe(Layer.provide(layerServer()), Layer.provideMerge(broker))
