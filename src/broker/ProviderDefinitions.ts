/**
 * What is known of providers before anybody configures them: those that are built in, and those of plugins.
 */
import { Context } from "effect"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { builtIn } from "../providers/BuiltIn.ts"

export class ProviderDefinitions extends Context.Reference<ReadonlyArray<ProviderDefinition>>(
  "tokenkeep/broker/ProviderDefinitions",
  { defaultValue: () => builtIn },
) {}
