/**
 * The grants of the `tokenkeep serve` that runs on this machine, for the commands that change them.
 */
import { Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import * as GrantsClient from "../../client/GrantsClient.ts"
import { onHost } from "../OnHost.ts"

/** Where the host listens, if not in its usual place. */
export const hostSocket = Flag.String("host-socket").pipe(
  Flag.withDescription("The socket of the running tokenkeep serve, if it was given another one with --socket"),
  Flag.optional,
)

/** Grants of the host at the socket, or in its usual place. What a sandbox has is a grant, which makes no others. */
export const layer = (socket: Option.Option<string>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      yield* onHost("Grants")
      const { socketPath } = yield* BrokerConfig
      return GrantsClient.layer({ path: Option.getOrElse(socket, () => socketPath) })
    }),
  )
