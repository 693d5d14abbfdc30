/**
 * Where the programs are that tests start: bundled, or as sources.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** The programs that are bundled, by the names of their bundles. */
export const sources = {
  tokenkeep: "src/bin.ts",
  "tokenkeep-testing-server": "src/testing/main.ts",
  "audit-writer": "test/support/audit-writer.ts",
  "lock-holder": "test/support/lock-holder.ts",
  "refresh-worker": "test/support/refresh-worker.ts",
  acme: "test/examples/acme.ts",
  embed: "test/examples/embed.ts",
  http: "test/examples/http.ts",
}

/** The whole program in files of its own, which is not bundled: it shares them with plugins. */
export const whole = join(root, "src/main.ts")

/** Names the folder of the bundles to the processes that run the tests. */
export const variable = "TOKENKEEP_TEST_BUNDLES"

export const sourceOf = (name: keyof typeof sources) => join(root, sources[name])

/** The program's file: its bundle, or its source where nothing was bundled, as in a benchmark. */
export const pathOf = (name: keyof typeof sources) => {
  const folder = process.env[variable]
  return folder === undefined ? sourceOf(name) : join(folder, `${name}.js`)
}
