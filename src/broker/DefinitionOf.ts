/**
 * Which definition a provider is built on: the one of its own name, or the one that the configuration has it extend.
 */
import { Option, Predicate, type Schema } from "effect"
import type { ProviderDefinition } from "../oauth/Provider.ts"

/** `said` is what the configuration has under the name, if anything. */
export const definitionOf = (
  name: string,
  said: Schema.Json | undefined,
  definitions: ReadonlyArray<ProviderDefinition>,
): Option.Option<ProviderDefinition> => {
  const base = Predicate.isObject(said) && "extends" in said ? said["extends"] : name
  return Option.fromUndefinedOr(definitions.find((known) => known.name === base))
}
