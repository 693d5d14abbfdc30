/**
 * `tokenkeep doctor` as a user whom nobody has given a name, as containers have them, and who is kept out of a folder.
 */
import { chmodSync, chownSync, mkdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OtherUser from "../support/OtherUser.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const [someone] = OtherUser.others

describe.skipIf(OtherUser.missing !== undefined)(`tokenkeep doctor, ${OtherUser.missing ?? "of somebody else"}`, () => {
  it.live("looks at all that can be looked at, in the usual places, and says what cannot", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      chownSync(home, someone, someone)
      let folder = home
      for (const name of [".local", "share", "tokenkeep", "keys"]) {
        folder = `${folder}/${name}`
        mkdirSync(folder, { mode: 0o700 })
        chownSync(folder, someone, someone)
      }
      chmodSync(folder, 0)
      const args = ["doctor", "--offline", "--json"]
      const { code, stderr, stdout } = yield* Program.run(args, { HOME: home }, "", OtherUser.as(someone))
      assert.strictEqual(stderr, "")
      const { findings }: { findings: ReadonlyArray<{ level: string; command?: string }> } = JSON.parse(stdout)
      assert.deepStrictEqual(
        findings.filter(({ level }) => level === "problem" || level === "warning").map(({ command }) => command),
        [`chmod 700 ${folder}`],
      )
      assert.strictEqual(code, 1)
    }),
  )
})
