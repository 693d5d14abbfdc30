import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const module = new URL("../../src/quick/CompileCache.ts", import.meta.url).href

/** Where a new process keeps what it compiles; nothing, if nowhere. */
const cacheIn = (env: { readonly [name: string]: string }) =>
  spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { getCompileCacheDir } from "node:module"
       import { enable } from ${JSON.stringify(module)}
       enable(process.env)
       process.stdout.write(getCompileCacheDir() ?? "")`,
    ],
    { encoding: "utf8", env },
  ).stdout

describe.skipIf(process.platform !== "linux")("what was compiled", () => {
  it.live("is kept, but not where others can put other code in its place", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      mkdirSync(`${home}/cache/tokenkeep`, { recursive: true, mode: 0o700 })
      const env = { XDG_CACHE_HOME: `${home}/cache` }
      assert.include(cacheIn(env), `${home}/cache/tokenkeep/compiled/`)
      for (const open of [`${home}/cache`, `${home}/cache/tokenkeep`, `${home}/cache/tokenkeep/compiled`]) {
        chmodSync(open, 0o777)
        assert.strictEqual(cacheIn(env), "", open)
        chmodSync(open, 0o700)
      }
    }),
  )
})
