/**
 * The README of `tokenkeep/testing` is true to the letter: its programs run, its commands are typed, its tables are whole.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { forms, Script } from "../../src/testing/Script.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { decodeDevice, refreshing } from "./BareClient.ts"
import * as ServerProgram from "./ServerProgram.ts"

const here = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")
const readme = here("../../src/testing/README.md")
const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = "", text = ""]) => ({
  language,
  text,
}))

const parse = (text = ""): unknown => JSON.parse(text)
const shownAt = '"at":"2030-01-01T00:00:00.000Z"'
const decodeRefreshToken = Schema.decodeUnknownSync(Schema.Struct({ refresh_token: Schema.String }))

/** The cells of the table whose head begins so. */
const table = (head: string) => {
  const [, rows = ""] = new RegExp(`^\\| ${head} .*\\n\\|[- |]+\\n((?:\\|.*\\n)+)`, "m").exec(readme) ?? []
  return rows
    .trim()
    .split("\n")
    .map((row) =>
      row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "").replaceAll("\\|", "|")),
    )
}

describe("the README of tokenkeep/testing", () => {
  it("has no block that is not executed here or beside it", () => {
    assert.deepStrictEqual(
      blocks.map(({ language }) => language),
      ["ts", "ts", "sh", "json", "json"],
    )
    const [inProcess, onASocket] = blocks
    // Vitest runs both.
    assert.strictEqual(inProcess?.text, here("./examples/InProcess.test.ts"))
    assert.strictEqual(onASocket?.text, here("./examples/OnASocket.test.ts"))
  })

  it.live("shows a command that works, and the lines that it says", () =>
    Effect.gen(function* () {
      const [, , command, announcement, call] = blocks
      const [name = "", ...args] = command?.text.trim().split(" ") ?? []
      assert.property(packageJson.bin, name)
      const server = yield* ServerProgram.listening(args)
      const line = yield* Effect.promise(() => server.firstLine)
      assert.deepStrictEqual(parse(line.replaceAll(String(server.port), "4000")), parse(announcement?.text))
      const { device_code } = yield* Effect.promise(() =>
        server
          .post(server.device_authorization_endpoint, {})
          .then((response) => response.json())
          .then(decodeDevice),
      )
      const poll = Effect.promise(() =>
        server
          .post(server.token_endpoint, { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code })
          .then((response) => response.json()),
      )
      yield* poll
      const tokens = decodeRefreshToken(yield* poll)
      const refresh = Effect.tryPromise(() =>
        server.post(server.token_endpoint, { grant_type: "refresh_token", ...tokens }),
      )
      yield* Effect.flip(refresh)
      const statuses = [(yield* refresh).status, (yield* refresh).status]
      assert.deepStrictEqual(statuses, [429, 200])
      server.kill("SIGTERM")
      const outcome = yield* Effect.promise(() => server.ended)
      assert.strictEqual(outcome.code, 0)
      const said = ServerProgram.callsOf({ ...outcome, stdout: outcome.stdout.replaceAll(/"at":"[^"]+"/g, shownAt) })
      assert.deepInclude(said, parse(call?.text))
    }),
  )

  it.live("lists the flags that there are", () =>
    Effect.gen(function* () {
      const { stdout } = yield* ServerProgram.run(["--help"])
      const [, described = ""] = /FLAGS\n([\s\S]*?)\n\n/.exec(stdout) ?? []
      const there = [...described.matchAll(/^ +(--[\w-]+)/gm)].map(([, flag]) => flag)
      assert.deepStrictEqual(
        table("flag").map(([flag = ""]) => flag.replace(/ .*/, "")),
        there,
      )
    }),
  )

  it.effect("lists the behaviours that there are, and which of them do the work", () =>
    Effect.gen(function* () {
      const rows = table("in a script")
      assert.deepStrictEqual(
        rows.map(([form]) => form),
        [...forms, ""],
      )
      for (const [form = "", constructor = "", , work] of rows) {
        assert.property(Behaviour, constructor.replace(/\(.*/, ""))
        if (form === "") continue
        const text = form.replace("SECONDS", "0").replace("CODE[:ERROR]", "503:server_error").replace("JSON|none", "0")
        const steps = yield* Schema.decodeEffect(Script)(text)
        yield* Effect.gen(function* () {
          const { families, login, script } = yield* ScriptedProvider
          yield* script(steps)
          const { token } = yield* login
          yield* Effect.option(refreshing(token.refreshToken, { signal: AbortSignal.timeout(100) }))
          const [family] = yield* families
          assert.strictEqual(family?.redemptions, work === "done" ? 1 : 0, form)
        }).pipe(Effect.provide(ScriptedProvider.layer()))
      }
    }),
  )

  it("names the members of the service that there are", () => {
    const members = ["login", "setPolicy", "journal", "calls", "families", "secrets", "answerNext"]
    const service = here("../../src/testing/ScriptedProvider.ts")
    for (const member of members) {
      assert.include(readme, `\`${member}`)
      assert.include(service, `readonly ${member}:`)
    }
  })
})
