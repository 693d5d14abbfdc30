import { assert, describe, it } from "@effect/vitest"
import * as NextCommand from "../../src/cli/NextCommand.ts"
import * as Finding from "../../src/cli/doctor/Finding.ts"

describe("the command to type next", () => {
  it("names a file as a shell reads it", () => {
    assert.strictEqual(
      NextCommand.moveAwayCommand("/a/it's $(x)"),
      `mv -i '/a/it'\\''s $(x)' '/a/it'\\''s $(x).damaged'`,
    )
  })

  it("is not said where it would not be what is typed", () => {
    for (const name of ["a\nb", "a\u202eb", "a\u001b[2Jb"]) {
      const command = `rm ${NextCommand.quoted(name)}`
      assert.isUndefined(NextCommand.typeable(command))
      assert.notProperty(Finding.problem("files", "There is one too many.", command), "command")
    }
    assert.strictEqual(NextCommand.typeable("rm 'a b'"), "rm 'a b'")
  })
})
