import { defineConfig } from "vitest/config"

export default defineConfig({
  ssr: { resolve: { conditions: ["tokenkeep-source", "module", "node"], externalConditions: ["tokenkeep-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 20_000,
    silent: "passed-only",
  },
})
