/**
 * The executable in processes of its own: what it answers at once, and what it leaves to the whole program.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { loggedIn } from "../support/LoggedIn.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

/** Makes a process say on stderr which modules of Effect it has loaded. */
const witness = `data:text/javascript,${encodeURIComponent(
  'import { registerHooks } from "node:module"; registerHooks({ load: (url, context, next) => { if (/main-|main\\.ts/.test(url)) process.stderr.write("whole\\n"); return next(url, context) } })',
)}`

describe("the executable", () => {
  it.live("answers at once where all is in order, and otherwise in full, with what was on stdin", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, { example: recordOf("one") })
      writeFileSync(`${home}/config.json`, JSON.stringify({ hosts: { "a.example": "example", "b.example": "nobody" } }))
      const run = (args: ReadonlyArray<string>, input = "") => {
        const { status, stderr, stdout } = spawnSync(process.execPath, ["--import", witness, Program.main, ...args], {
          env: { TOKENKEEP_HOME: home, HOME: home, NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] },
          encoding: "utf8",
          input,
        })
        return { status, stderr, stdout }
      }
      const asked = (host: string) => `protocol=https\nhost=${host}\n\n`
      assert.deepStrictEqual(run(["token", "example"]), { status: 0, stderr: "", stdout: "access-one\n" })
      const known = run(["helper", "git", "get"], asked("a.example"))
      assert.deepStrictEqual(known, {
        status: 0,
        stderr: "",
        stdout: "username=oauth2\npassword=access-one\npassword_expiry_utc=1893456000\n",
      })
      const unknown = run(["helper", "git", "get"], asked("b.example"))
      assert.deepStrictEqual({ ...unknown, stderr: "" }, { status: 4, stderr: "", stdout: "quit=1\n" })
      assert.match(unknown.stderr, /^whole\n.*Nobody is logged in as nobody/)
    }),
  )

  it.live("says nothing more when whoever reads has read enough", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      // More than a pipe holds.
      yield* loggedIn(home, { example: recordOf("x".repeat(200_000)) })
      const { stderr, stdout } = spawnSync(
        "bash",
        ["-c", '"$0" "$1" token example | head -c 6; echo "${PIPESTATUS[0]}"', process.execPath, Program.main],
        { env: { TOKENKEEP_HOME: home, HOME: home, PATH: process.env["PATH"] }, encoding: "utf8" },
      )
      assert.deepStrictEqual({ stderr, stdout }, { stderr: "", stdout: "access0\n" })
    }),
  )

  it.live("keeps what Node compiled where nobody else can put something", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const cache = `${home}/.cache/tokenkeep/compiled`
      const run = () => spawnSync(process.execPath, [Program.main, "token", "nobody"], { env: { HOME: home } })
      assert.strictEqual(run().status, 4)
      assert.strictEqual(statSync(cache).mode & 0o777, 0o700)
      assert.isNotEmpty(readdirSync(cache))
      rmSync(cache, { recursive: true })
      mkdirSync(cache)
      chmodSync(cache, 0o777)
      assert.strictEqual(run().status, 4)
      assert.isEmpty(readdirSync(cache))
    }),
  )
})
