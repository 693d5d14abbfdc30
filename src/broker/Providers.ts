/**
 * The configured providers, by name.
 */
import { Context, Effect, Layer, Option } from "effect"
import { ProviderNotConfigured } from "../domain/Errors.ts"
import type { Provider, ProviderRecord } from "../oauth/Provider.ts"
import type { StoreError } from "./TokenStore.ts"

/** Looks providers up, and adds them. */
export class Providers extends Context.Service<
  Providers,
  {
    /** The provider, with its secret if it has one. */
    readonly get: (name: string) => Effect.Effect<Provider, ProviderNotConfigured | StoreError>
    /** What is configured of the provider; its secret is not looked up. */
    readonly record: (name: string) => Effect.Effect<ProviderRecord, ProviderNotConfigured | StoreError>
    /** The names, in the order in which they were added. */
    readonly list: Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Adds a provider, or replaces the one of that name. */
    readonly set: (name: string, record: ProviderRecord) => Effect.Effect<void, StoreError>
  }
>()("tokenkeep/broker/Providers") {
  /** Providers given by the program. Those added later have no secret. */
  static readonly layerMemory = (initial: ReadonlyArray<Provider>): Layer.Layer<Providers> =>
    Layer.sync(this, () => {
      const providers = new Map(initial.map((provider) => [provider.name, provider]))
      const get = (name: string) =>
        Effect.suspend(() => {
          const provider = providers.get(name)
          return provider === undefined
            ? Effect.fail(ProviderNotConfigured.make({ provider: name }))
            : Effect.succeed(provider)
        })
      return Providers.of({
        get,
        record: get,
        list: Effect.sync(() => [...providers.keys()]),
        set: (name, record) =>
          Effect.sync(() => {
            providers.set(name, { ...record, name, secret: Option.none() })
          }),
      })
    })
}
