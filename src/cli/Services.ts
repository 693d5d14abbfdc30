/**
 * What commands run on: the host's own store, or, where `TOKENKEEP_SOCKET` says so, a host at the other end of a socket.
 * Whichever it is, the other one is not loaded.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import type { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as BrokerConfigEnv from "../broker/BrokerConfigEnv.ts"
import * as BrokerClient from "../client/BrokerClient.ts"
import * as BrokerClientEnv from "../client/BrokerClientEnv.ts"
import { LoginStatus } from "./status/LoginStatus.ts"
import * as ProcessHygiene from "./ProcessHygiene.ts"

/** Where things are kept on the host, and no broker. */
export const places = BrokerConfigEnv.layer.pipe(Layer.provideMerge(NodeServices.layer))

const host = Effect.promise(() => import("./LocalBroker.ts"))

/** The broker with the refresh tokens, and everything under it. */
export const local = Layer.unwrap(Effect.map(host, ({ layer }) => layer)).pipe(
  Layer.provideMerge(places),
  Layer.provide(ProcessHygiene.layer),
)

/** A broker, and what `status` needs; where there is no host to ask, things are kept where `config` says. */
export const eitherIn = <E>(config: Layer.Layer<BrokerConfig, E>) =>
  Layer.unwrap(
    Effect.map(BrokerClientEnv.host, (named) =>
      Option.match(named, {
        onNone: () =>
          Layer.unwrap(Effect.map(host, ({ layerWithStatus }) => layerWithStatus)).pipe(
            Layer.provideMerge(Layer.merge(config, NodeServices.layer)),
            Layer.provide(ProcessHygiene.layer),
          ),
        onSome: (options) => LoginStatus.layerClient.pipe(Layer.provideMerge(BrokerClient.layer(options))),
      }),
    ),
  )

/** A broker, and what `status` needs. */
export const either = eitherIn(BrokerConfigEnv.layer.pipe(Layer.provide(NodeServices.layer)))
