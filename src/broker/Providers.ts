/**
 * The configured providers, by name.
 */
import { Context, Effect, Layer, Option } from "effect"
import {
  type ConfigCorrupt,
  ProviderNotConfigured,
  type SecretUnavailable,
  type StoreUnavailable,
} from "../domain/Errors.ts"
import type { Provider, ProviderDefinition } from "../oauth/Provider.ts"
import type { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { definitionOf } from "./DefinitionOf.ts"
import { ProviderDefinitions } from "./ProviderDefinitions.ts"

/** Why the configuration cannot be read or written. */
export type ConfigError = ConfigCorrupt | StoreUnavailable

/** Looks providers up, adds and removes them. */
export class Providers extends Context.Service<
  Providers,
  {
    /** The provider, with its secret if it has one. */
    readonly get: (name: string) => Effect.Effect<Provider, ProviderNotConfigured | SecretUnavailable | ConfigError>
    /** What is configured of the provider; its secret is not looked up. */
    readonly record: (name: string) => Effect.Effect<ProviderRecord, ProviderNotConfigured | ConfigError>
    /** As `record`, if it is known without waiting that it is still what is configured. */
    readonly glance: (name: string) => Option.Option<ProviderRecord>
    /** What the provider is built on, if anything is known of it besides its record. */
    readonly definition: (name: string) => Effect.Effect<Option.Option<ProviderDefinition>, ConfigError>
    /** The names, in the order in which they were added. */
    readonly list: Effect.Effect<ReadonlyArray<string>, ConfigError>
    /** Adds a provider, or replaces the one of that name. */
    readonly set: (name: string, record: ProviderRecord) => Effect.Effect<void, ConfigError>
    /** Forgets a provider. Its logins stay, but cannot be refreshed. */
    readonly remove: (name: string) => Effect.Effect<void, ProviderNotConfigured | ConfigError>
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
        glance: (name) => Option.fromUndefinedOr(providers.get(name)),
        definition: (name) =>
          Effect.map(ProviderDefinitions, (definitions) => definitionOf(name, undefined, definitions)),
        list: Effect.sync(() => [...providers.keys()]),
        set: (name, record) =>
          Effect.sync(() => {
            providers.set(name, { ...record, name, secret: Option.none() })
          }),
        remove: (name) => Effect.map(get(name), () => void providers.delete(name)),
      })
    })
}
