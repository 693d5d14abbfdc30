/**
 * "Writing a provider" is true to the letter: its record is one, its plugin is loaded, its commands are typed.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import * as ConfigFile from "../../src/broker/ConfigFile.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const here = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")
const guide = here("../../src/providers/README.md")
const blocks = [...guide.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = "", text = ""]) => ({
  language,
  text,
}))
const [record, plugin, list, commands, test] = blocks.map(({ text }) => text)

describe("the guide to providers", () => {
  it("has no block that is not executed here or beside it", () => {
    assert.deepStrictEqual(
      blocks.map(({ language }) => language),
      ["json", "ts", "json", "sh", "ts"],
    )
    assert.strictEqual(plugin, here("../examples/plugin/acme.ts"))
    // Vitest runs it.
    assert.strictEqual(test, here("../examples/plugin/acme.test.ts"))
  })

  it("shows a record that is one", () => {
    const config = Schema.decodeSync(Schema.fromJsonString(ConfigFile.ConfigFile))(record ?? "")
    assert.strictEqual(resolve("acme", ConfigFile.records(config).get("acme"), [])._tag, "Resolved")
  })

  it.live("shows a plugin that is loaded from its file, and commands that work", () =>
    Effect.gen(function* () {
      const { grant, provider } = yield* ScriptedProvider
      const home = yield* TemporaryHome.make
      writeFileSync(`${home}/config.json`, list ?? "")
      writeFileSync(`${home}/acme.ts`, (plugin ?? "").replaceAll("https://id.acme.example", provider.issuer), {
        mode: 0o600,
      })
      const said: Array<string> = []
      for (const line of (commands ?? "").trim().split("\n")) {
        const [, ...args] = line.split(" ")
        const running = yield* Program.start(args, { TOKENKEEP_HOME: home, HOME: home }, [], Program.source)
        if (args[0] === "login") {
          const [url = ""] = yield* Effect.promise(() => running.said("stderr", /http\S+\/authorize\S+/))
          running.write(`${yield* grant(url)}\n`)
        }
        const { code, stderr, stdout } = yield* Effect.promise(() => running.ended)
        assert.strictEqual(code, 0, `${line}\n${stderr}`)
        said.push(stdout)
      }
      assert.strictEqual(said[1], "You are account-1.\n")
      const status = yield* Schema.decodeEffect(Schema.fromJsonString(Status))(said[2] ?? "")
      assert.deepStrictEqual(status.accounts[0]?.details, { member: "account-1" })
    }).pipe(Effect.provide(ScriptedServer.layer({ clientId: "acme-cli", clientSecret: Option.none() }))),
  )
})

const Status = Schema.Struct({ accounts: Schema.Array(Schema.Struct({ details: Schema.Unknown })) })
