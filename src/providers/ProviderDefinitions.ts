/**
 * What is known of providers before anybody configures them: those that are built in, and those of plugins.
 */
import { Context } from "effect"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { builtIn } from "./BuiltIn.ts"

export class ProviderDefinitions extends Context.Reference<ReadonlyArray<ProviderDefinition>>(
  "tokenkeep/providers/ProviderDefinitions",
  { defaultValue: () => builtIn },
) {
  /** These, and what is built in, unless one of these has its name. */
  static readonly withBuiltIn = (definitions: ReadonlyArray<ProviderDefinition>): ReadonlyArray<ProviderDefinition> => [
    ...definitions,
    ...builtIn.filter(({ name }) => !definitions.some((own) => own.name === name)),
  ]
}
