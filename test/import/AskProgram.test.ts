import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, PlatformError, Redacted } from "effect"
import { ChildProcessSpawner } from "effect/process"
import * as AskProgram from "../../src/import/AskProgram.ts"
import type { Ask } from "../../src/import/LoginEntry.ts"
import { golden } from "../support/Importing.ts"
import { layerDigest } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

/** Programs that say what they are told to, or are not there. */
const asking = (ask: Ask, says: string | undefined) => {
  const asked: Array<string> = []
  const spawner = Layer.mock(ChildProcessSpawner.ChildProcessSpawner, {
    string: (command) => {
      if (command._tag === "StandardCommand") asked.push([command.command, ...command.args].join(" "))
      return says === undefined
        ? Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "Command", method: "spawn" }))
        : Effect.succeed(says)
    },
  })
  return { asked, content: AskProgram.contentFor(ask).pipe(Effect.provide([spawner, layerDigest])) }
}

const keychain: Ask = { _tag: "Keychain", service: "Claude Code-credentials", account: "octo" }

describe("a login that is in no file", () => {
  it.effect("is asked of gh, for the host and the user", () =>
    Effect.gen(function* () {
      const { asked, content } = asking({ _tag: "Gh", host: "github.com", user: "octo; rm" }, "gho_EXAMPLE\n")
      const said = yield* content
      assert(said._tag === "Token")
      assert.strictEqual(Redacted.value(said.token.accessToken), "gho_EXAMPLE")
      assert.deepStrictEqual(asked, ["gh auth token --hostname github.com --user octo; rm"])
    }),
  )

  it.effect("is asked of the keychain, whose item has the name of the folder in it", () =>
    Effect.gen(function* () {
      const plain = asking(keychain, golden("claude/credentials.json"))
      assert.strictEqual((yield* plain.content)._tag, "Token")
      const custom = asking({ ...keychain, suffixOf: "/home/octo/mine" }, golden("claude/credentials.json"))
      yield* custom.content
      assert.deepStrictEqual(
        [...plain.asked, ...custom.asked],
        ["", "-2fb639ea"].map(
          (suffix) => `security find-generic-password -s Claude Code-credentials${suffix} -a octo -w`,
        ),
      )
    }),
  )

  for (const [what, says] of [
    ["nothing", ""],
    ["something else", "no oauth token found"],
    ["that it is not there", undefined],
  ] as const) {
    it.effect(`is not had where the program says ${what}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(asking({ _tag: "Gh", host: "github.com" }, says).content), "NotTold")
        assert.strictEqual(yield* tagOf(asking(keychain, says).content), "NotTold")
      }),
    )
  }
})
