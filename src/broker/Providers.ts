/**
 * The configured providers, by name.
 */
import { Context, Effect, Layer, Option } from "effect"
import type { Granter } from "../domain/AccountRecord.ts"
import {
  ConfigCorrupt,
  type FlowInitiationFailed,
  ProviderNotConfigured,
  type SecretUnavailable,
} from "../domain/Errors.ts"
import type { Provider, ProviderDefinition } from "../oauth/Provider.ts"
import { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { definitionOf, type Resolution, resolve, type Resolved } from "../oauth/ProviderResolution.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import type { StoreError } from "./TokenStore.ts"

/** Why the configuration, or what is kept beside it, cannot be read or written. */
export type ConfigError = ConfigCorrupt | StoreError

/** What a configuration says of a provider: all of its record, or what is to be different from what is known of it. */
export interface ProviderSettings extends Omit<Partial<typeof ProviderRecord.Encoded>, "endpoints"> {
  readonly endpoints?: Partial<NonNullable<(typeof ProviderRecord.Encoded)["endpoints"]>>
  /** Whose record it builds on, if not that of its own name. */
  readonly extends?: string
}

/** Looks providers up, adds and removes them. */
export class Providers extends Context.Service<
  Providers,
  {
    /** The provider, with its secret if it has one. */
    readonly get: (name: string) => Effect.Effect<Provider, ProviderNotConfigured | SecretUnavailable | ConfigError>
    /** As `get`, to log in: a server that is named by its address is asked where. */
    readonly prepare: (
      name: string,
    ) => Effect.Effect<Provider, ProviderNotConfigured | FlowInitiationFailed | SecretUnavailable | ConfigError>
    /** Remembers for good where somebody was prepared to log in, and has. */
    readonly settle: (name: string, granter: Granter) => Effect.Effect<void, StoreError>
    /** What is configured of the provider; its secret is not looked up. */
    readonly record: (name: string) => Effect.Effect<ProviderRecord, ProviderNotConfigured | ConfigError>
    /** As `record`, if it is known without waiting that it is still what is configured. */
    readonly glance: (name: string) => Option.Option<ProviderRecord>
    /** What the provider is built on, if anything is known of it besides its record. */
    readonly definition: (name: string) => Effect.Effect<Option.Option<ProviderDefinition>, ConfigError>
    /** The names, in the order in which they were added. */
    readonly list: Effect.Effect<ReadonlyArray<string>, ConfigError>
    /** Adds a provider, or replaces the one of that name. What is not said is as it is known of the provider. */
    readonly set: (name: string, said: ProviderSettings) => Effect.Effect<void, ProviderNotConfigured | ConfigError>
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
        prepare: get,
        settle: () => Effect.void,
        record: get,
        glance: (name) => Option.fromUndefinedOr(providers.get(name)),
        definition: (name) =>
          Effect.map(ProviderDefinitions, (definitions) => definitionOf(name, undefined, definitions)),
        list: Effect.sync(() => [...providers.keys()]),
        set: Effect.fnUntraced(function* (name, said) {
          const resolution = resolve(name, fieldsOf(said), yield* ProviderDefinitions)
          const { dialect, record } = yield* resolvedOr(resolution, name, "memory")
          providers.set(name, { ...record, name, secret: Option.none(), ...(dialect !== undefined && { dialect }) })
        }),
        remove: (name) => Effect.map(get(name), () => void providers.delete(name)),
      })
    })
}

/** What a record has a field for; whoever brings more, as a `Provider` does, must not have a secret written. */
export const fieldsOf = (said: ProviderSettings) =>
  Object.fromEntries(Object.entries(said).filter(([name]) => name === "extends" || name in ProviderRecord.fields))

/** What was resolved, or why it is none; `path` is where the configuration is. */
export const resolvedOr = (
  resolution: Resolution,
  provider: string,
  path: string,
): Effect.Effect<Resolved, ProviderNotConfigured | ConfigCorrupt> => {
  switch (resolution._tag) {
    case "Resolved":
      return Effect.succeed(resolution.resolved)
    case "Unknown":
      return Effect.fail(ProviderNotConfigured.make({ provider }))
    case "Malformed":
      return Effect.fail(ConfigCorrupt.make({ path, provider, mistakes: resolution.mistakes }))
    case "Incomplete":
      return Effect.fail(ProviderNotConfigured.make({ provider, missing: resolution.missing }))
  }
}
