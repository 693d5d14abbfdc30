import { readdirSync, readFileSync, statSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const secret = "sk-canary of the command"

describe("the commands for API keys", () => {
  it.live("set a key on the host, and print it through a socket, where it cannot be set", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: home, HOME: home }
      const loudly = ["--log-level", "all"]
      const running = yield* Program.start(["serve", "--json", ...loudly], environment)
      const set = yield* Program.run(["key", "set", "hub", ...loudly], environment, `${secret}\r\n`, [
        "sh",
        "-c",
        'head -n 1 | exec "$@"',
        "sh",
      ])
      assert.strictEqual(set.code, 0, set.stderr)
      const empty = yield* Program.run(["key", "set", "hub"], environment, "", [
        "sh",
        "-c",
        'exec "$@" < /dev/null',
        "sh",
      ])
      assert.strictEqual(empty.code, 2)
      assert.include(empty.stderr, "The key was not set: nothing was given.")
      assert.include(set.stderr, "Set the key hub.")
      const [, socket = ""] = yield* Effect.promise(() => running.said("stdout", /"socket":"([^"]+)"/))
      const sandbox = { TOKENKEEP_SOCKET: socket, HOME: home }
      const [got, listed, refused] = yield* Effect.all(
        [
          Program.run(["key", "get", "hub"], sandbox),
          Program.run(["key", "list", "--json", ...loudly], sandbox),
          Program.run(["key", "set", "hub", ...loudly], sandbox, "sk-other\n"),
        ],
        { concurrency: 2 },
      )
      assert.deepStrictEqual([got.code, got.stdout, got.stderr], [0, `${secret}\n`, ""])
      assert.deepStrictEqual(JSON.parse(listed.stdout), { version: 1, keys: ["hub"] })
      assert.strictEqual(refused.code, 2)
      assert.include(refused.stderr, "API keys are kept on the host")
      running.kill("SIGTERM")
      const served = yield* Effect.promise(() => running.ended)
      for (const name of readdirSync(home, { recursive: true, encoding: "utf8" })) {
        if (name.startsWith("keys/") || !statSync(`${home}/${name}`).isFile()) continue
        assert.notInclude(readFileSync(`${home}/${name}`, "utf8"), secret, name)
      }
      for (const { stderr, stdout } of [set, listed, refused, served]) assert.notInclude(stdout + stderr, secret)
    }),
  )
})
