/**
 * Where API keys live. Only the person who runs the host writes them; what may be asked over a socket is the broker's.
 * That there is none, that it cannot be read and that it is damaged are three different answers.
 */
import { Context, Effect, Layer, Option, type Redacted } from "effect"
import type { StoreError } from "./TokenStore.ts"

/** Keeps API keys by name. Names and keys are as `domain/ApiKey.ts` says. */
export class ApiKeys extends Context.Service<
  ApiKeys,
  {
    /** The key, or none if there is none of that name. */
    readonly get: (name: string) => Effect.Effect<Option.Option<Redacted.Redacted>, StoreError>
    /** Replaces the key. When this returns it is durable. */
    readonly set: (name: string, key: Redacted.Redacted) => Effect.Effect<void, StoreError>
    /** Forgets the key. It is fine if there is none. */
    readonly remove: (name: string) => Effect.Effect<void, StoreError>
    /** The names of the keys that there are, damaged ones included. */
    readonly list: Effect.Effect<ReadonlyArray<string>, StoreError>
  }
>()("tokenkeep/broker/ApiKeys") {
  /** Keeps keys in this process only. */
  static readonly layerMemory: Layer.Layer<ApiKeys> = Layer.effect(
    this,
    Effect.sync(() => {
      const keys = new Map<string, Redacted.Redacted>()
      return ApiKeys.of({
        get: (name) => Effect.sync(() => Option.fromUndefinedOr(keys.get(name))),
        set: (name, key) => Effect.sync(() => void keys.set(name, key)),
        remove: (name) => Effect.sync(() => void keys.delete(name)),
        list: Effect.sync(() => [...keys.keys()]),
      })
    }),
  )
}
