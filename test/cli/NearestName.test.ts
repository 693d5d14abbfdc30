import { assert, describe, it } from "@effect/vitest"
import { nearestTo } from "../../src/cli/NearestName.ts"

describe("the name that was meant", () => {
  const names = ["anthropic", "codex", "copilot", "gemini", "github", "gitlab", "qwen"]
  for (const [typed, meant] of [
    ["antropic", "anthropic"],
    ["githab", "github"],
    ["gitlba", "gitlab"],
    ["kodexx", "codex"],
    ["qwenn", "qwen"],
    ["gitlab", undefined],
    ["open", undefined],
    ["copi", undefined],
    ["q", undefined],
    ["", undefined],
    ["x".repeat(100_000), undefined],
  ] as const) {
    it(`for ${typed.slice(0, 20)} is ${meant}`, () => {
      assert.strictEqual(nearestTo(typed, names), meant)
    })
  }
})
