import { BaseSequencer } from "vitest/node"
import type { TestSpecification } from "vitest/node"
import { defineConfig } from "vitest/config"

/** What takes longest, with most of it waiting, is begun first: whatever is short then fills the time until its end. */
const first = [
  "e2e/CommandLine",
  "e2e/Flows",
  "e2e/RefreshRace",
  "e2e/RefreshMisfortunes",
  "e2e/BrowserPage",
  "test/Readme",
  "e2e/Exec",
  "server/Hostile",
  "broker/Interleavings",
  "broker/Broker",
]

const rank = ({ moduleId }: TestSpecification) => {
  const at = first.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
  return at < 0 ? first.length : at
}

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is no array that is sorted
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other))
  }
}

export default defineConfig({
  ssr: { resolve: { conditions: ["tokenkeep-source", "module", "node"], externalConditions: ["tokenkeep-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/bundling.ts"],
    testTimeout: 30_000,
    hookTimeout: 20_000,
    // Much of a run is waiting: for a process to start, for a provider that may be asked only every five seconds.
    maxWorkers: 4,
    // A worker loads what is tested once, and not for each file: that was a quarter of all work.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    silent: "passed-only",
  },
})
