/**
 * The providers that are known without being configured.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { anthropic } from "./Anthropic.ts"
import { codex } from "./Codex.ts"
import { copilot } from "./Copilot.ts"
import { github } from "./GitHub.ts"

export const builtIn: ReadonlyArray<ProviderDefinition> = [anthropic, codex, copilot, github]
