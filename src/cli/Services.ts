/**
 * What commands run on: the host's own store, or, where `TOKENKEEP_SOCKET` says so, a host at the other end of a socket.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Config, Effect, Layer, Option, Redacted } from "effect"
import * as BrokerConfigEnv from "../broker/BrokerConfigEnv.ts"
import * as BrokerHost from "../broker/BrokerHost.ts"
import * as BrokerClient from "../client/BrokerClient.ts"
import { LoginStatus } from "./LoginStatus.ts"
import * as ProcessHygiene from "./ProcessHygiene.ts"

/** Where things are kept on the host, and no broker. */
export const places = BrokerConfigEnv.layer.pipe(Layer.provideMerge(NodeServices.layer))

const host = BrokerHost.layer.pipe(Layer.provideMerge(places))

/** The broker with the refresh tokens, and everything under it. */
export const local = host.pipe(Layer.provide(ProcessHygiene.layer))

/** The same, for a command that starts a program for the person. */
export const localForParent = host.pipe(Layer.provide(ProcessHygiene.layerForParent))

/** What a grant is shown by, where it wants to see something. */
const capability = Effect.map(
  Config.option(Config.Redacted("TOKENKEEP_CAPABILITY")),
  Option.filter((shown) => Redacted.value(shown) !== ""),
)

/** A broker, and what `status` needs. */
export const either = Layer.unwrap(
  Effect.gen(function* () {
    const socket = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
    if (Option.isNone(socket)) return LoginStatus.layerHost.pipe(Layer.provideMerge(local))
    const shown = yield* capability
    const client = BrokerClient.layer({
      path: socket.value,
      ...(Option.isSome(shown) && { capability: shown.value }),
    })
    return LoginStatus.layerClient.pipe(Layer.provideMerge(client))
  }),
)
