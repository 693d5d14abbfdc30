/**
 * What the `tokenkeep serve` that runs on this machine has granted, if one does. That is worth knowing, and never worth
 * waiting for.
 */
import { Context, Effect, FileSystem, Layer, Option } from "effect"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import { type GrantEntry, Grants } from "../../server/Grants.ts"
import * as Ownership from "../../system/Ownership.ts"

/** None if nobody can tell. */
export class GrantHolders extends Context.Reference<Effect.Effect<Option.Option<ReadonlyArray<GrantEntry>>>>(
  "tokenkeep/cli/status/GrantHolders",
  { defaultValue: () => Effect.succeedNone },
) {
  /** Asks the host in its usual place; at most every 10 s, since the host notes who asks. */
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { socketPath } = yield* BrokerConfig
      const fs = yield* FileSystem.FileSystem
      const ask = Effect.gen(function* () {
        const { type, uid } = yield* fs.stat(socketPath)
        if (type !== "Socket" || !Option.contains(uid, Ownership.uid())) return Option.none()
        // Where no host runs nothing of this is loaded.
        const { layer } = yield* Effect.promise(() => import("../../client/GrantsClient.ts"))
        return yield* Effect.asSome(
          Effect.provide(
            Effect.flatMap(Grants, ({ list }) => list),
            layer({ path: socketPath }),
          ),
        )
      }).pipe(
        Effect.timeout("1 second"),
        Effect.catch((error) => Effect.as(Effect.logDebug(error.message), Option.none())),
      )
      return yield* Effect.cachedWithTTL(ask, "10 seconds")
    }),
  )
}
