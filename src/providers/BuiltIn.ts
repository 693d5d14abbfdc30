/**
 * The providers that are known without being configured.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { anthropic } from "./Anthropic.ts"
import { gemini } from "./Gemini.ts"
import { gitlab } from "./GitLab.ts"
import { google } from "./Google.ts"
import { microsoft } from "./Microsoft.ts"
import { oidc } from "./Oidc.ts"
import { qwen } from "./Qwen.ts"

export const builtIn: ReadonlyArray<ProviderDefinition> = [anthropic, gemini, google, microsoft, gitlab, qwen, oidc]
