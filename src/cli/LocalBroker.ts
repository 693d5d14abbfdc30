/**
 * The broker with the refresh tokens, and what goes with it on the command line: the configured command that is told of
 * events, and the tools whose logins were adopted.
 */
import { Layer } from "effect"
import * as BrokerHost from "../broker/BrokerHost.ts"
import * as EventCommand from "../broker/EventCommand.ts"
import { Adoptions } from "../import/Adoptions.ts"
import { GrantHolders } from "./status/GrantHolders.ts"
import { LoginStatus } from "./status/LoginStatus.ts"
import { StoredLogins } from "./StoredLogins.ts"

export const layer = BrokerHost.layer.pipe(
  Layer.provideMerge(EventCommand.layer),
  Layer.provide(Adoptions.layerFeeding),
)

/** As {@link layer}, how its logins are, what else is known of them, and who may use them. */
export const layerWithStatus = Layer.mergeAll(LoginStatus.layerHost, StoredLogins.layerHost, GrantHolders.layer).pipe(
  Layer.provideMerge(layer),
)
