import { defineConfig } from "vitest/config"

export default defineConfig({
  ssr: { resolve: { conditions: ["tokenkeep-source", "module", "node"], externalConditions: ["tokenkeep-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 20_000,
    // Much of a run is waiting: for a process to start, for a provider that may be asked only every five seconds.
    maxWorkers: 3,
    silent: "passed-only",
  },
})
