/**
 * Counts what is asked for over a socket: the requests for an account's token that were answered with one. What a
 * program asks its own broker is not counted.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import * as BucketUsage from "../domain/BucketUsage.ts"

/** Nothing is counted, unless a layer says otherwise. */
export class Usage extends Context.Reference<{
  /** Counts a request. It returns at once; it is called for each of them. */
  readonly count: (account: AccountKey) => void
  /** What was counted at a provider. */
  readonly of: (provider: string) => Effect.Effect<BucketUsage.ProviderUsage>
}>("tokenkeep/broker/Usage", {
  defaultValue: () => ({ count: () => {}, of: () => Effect.succeed(new Map()) }),
}) {
  /** Counts for as long as this process lives. */
  static readonly layerMemory = Layer.effect(
    this,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const usage: BucketUsage.Usage = new Map()
      return {
        count: ({ bucket, provider }: AccountKey) =>
          BucketUsage.count(usage, provider, bucket, { requests: 1, lastUsed: clock.currentTimeMillisUnsafe() }),
        of: (provider: string) => Effect.sync(() => new Map(usage.get(provider))),
      }
    }),
  )
}
