/**
 * The providers that are known without being configured.
 */
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { anthropic } from "./Anthropic.ts"
import { codex } from "./Codex.ts"
import { copilot } from "./Copilot.ts"
import { gemini } from "./Gemini.ts"
import { github } from "./GitHub.ts"
import { gitlab } from "./GitLab.ts"
import { google } from "./Google.ts"
import { microsoft } from "./Microsoft.ts"
import { oidc } from "./Oidc.ts"
import { qwen } from "./Qwen.ts"

export const builtIn: ReadonlyArray<ProviderDefinition> = [
  anthropic,
  codex,
  copilot,
  gemini,
  github,
  gitlab,
  google,
  microsoft,
  oidc,
  qwen,
]
