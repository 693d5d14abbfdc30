/**
 * The providers that are known without being configured.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { anthropic } from "./Anthropic.ts"

export const builtIn: ReadonlyArray<ProviderDefinition> = [anthropic]
