/**
 * The tools whose logins are looked for.
 */
import { ccproxy } from "./CcProxy.ts"
import { claude } from "./Claude.ts"
import { codex } from "./Codex.ts"
import { copilot } from "./Copilot.ts"
import { gemini } from "./Gemini.ts"
import { gitHubCli } from "./GitHubCli.ts"
import { openCode } from "./OpenCode.ts"
import { qwen } from "./Qwen.ts"
import type { Tool } from "./Tool.ts"

export const tools: ReadonlyArray<Tool> = [claude, codex, gemini, qwen, openCode, copilot, gitHubCli, ccproxy]

export const toolCalled = (name: string): Tool | undefined => tools.find((tool) => tool.name === name)
