/**
 * What commands run on: the host's own store, or, where `TOKENKEEP_SOCKET` says so, a host at the other end of a socket.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import * as BrokerConfigEnv from "../broker/BrokerConfigEnv.ts"
import * as EventCommand from "../broker/EventCommand.ts"
import * as BrokerHost from "../broker/BrokerHost.ts"
import { Adoptions } from "../import/Adoptions.ts"
import * as BrokerClient from "../client/BrokerClient.ts"
import * as BrokerClientEnv from "../client/BrokerClientEnv.ts"
import { LoginStatus } from "./LoginStatus.ts"
import * as ProcessHygiene from "./ProcessHygiene.ts"

/** Where things are kept on the host, and no broker. */
export const places = BrokerConfigEnv.layer.pipe(Layer.provideMerge(NodeServices.layer))

/** The broker with the refresh tokens, and everything under it. */
export const local = BrokerHost.layer.pipe(
  Layer.provideMerge(EventCommand.layer),
  Layer.provide(Adoptions.layerFeeding),
  Layer.provideMerge(places),
  Layer.provide(ProcessHygiene.layer),
)

/** A broker, and what `status` needs. */
export const either = Layer.unwrap(
  Effect.map(BrokerClientEnv.host, (host) =>
    Option.match(host, {
      onNone: () => LoginStatus.layerHost.pipe(Layer.provideMerge(local)),
      onSome: (options) => LoginStatus.layerClient.pipe(Layer.provideMerge(BrokerClient.layer(options))),
    }),
  ),
)
