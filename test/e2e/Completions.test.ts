import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const has = (shell: string) => spawnSync(shell, ["-c", "true"]).error === undefined

/** The script for a shell, in a file. */
const script = (shell: string) =>
  Effect.gen(function* () {
    const home = yield* TemporaryHome.make
    const { code, stderr, stdout } = yield* Program.run(["--completions", shell], { TOKENKEEP_HOME: home })
    assert.deepStrictEqual([code, stderr], [0, ""])
    const path = `${home}/completions.${shell}`
    writeFileSync(path, stdout)
    return path
  })

/** What bash offers for words of which the last one is being typed. */
const offered = (path: string, ...words: ReadonlyArray<string>) => {
  const line = words.join(" ")
  const typing = `
    source '${path}'
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
    COMP_LINE='${line}'; COMP_POINT=${line.length}
    action=($(complete -p tokenkeep)); for ((i = 0; i < \${#action[@]}; i++)); do
      [[ \${action[i]} == -F ]] && "\${action[i + 1]}" tokenkeep '${words.at(-1)}' '${words.at(-2)}'
    done
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stderr, stdout } = spawnSync("bash", ["--norc", "-c", typing], { encoding: "utf8" })
  assert.strictEqual(stderr, "")
  return stdout.split("\n").map((word) => word.trim())
}

describe("completions", () => {
  it.live("offer commands and flags in bash", () =>
    Effect.gen(function* () {
      const path = yield* script("bash")
      assert.include(offered(path, "tokenkeep", "lo"), "login")
      assert.include(offered(path, "tokenkeep", "lo"), "logout")
      assert.include(offered(path, "tokenkeep", "provider", "a"), "add")
      assert.include(offered(path, "tokenkeep", "token", "--min"), "--min-ttl")
      assert.include(offered(path, "tokenkeep", "login", "--flow", "d"), "device")
    }),
  )

  for (const shell of ["zsh", "fish"]) {
    it.live.skipIf(!has(shell))(`are understood by ${shell}, where there is one`, () =>
      Effect.gen(function* () {
        const { status, stderr } = spawnSync(shell, ["-n", yield* script(shell)], { encoding: "utf8" })
        assert.deepStrictEqual([status, stderr], [0, ""])
      }),
    )
  }
})
