/**
 * `tokenkeep provider` in this process, with the configuration in a folder of its own.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { Command } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { TestConsole } from "effect/testing"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { ProviderDefinitions } from "../../src/providers/ProviderDefinitions.ts"
import * as ProvidersFile from "../../src/broker/ProvidersFile.ts"
import * as GlobalFlags from "../../src/cli/GlobalFlags.ts"
import { provider } from "../../src/cli/Provider.ts"
import { UsageError } from "../../src/cli/UsageError.ts"
import type { ProviderDefinition } from "../../src/oauth/Provider.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const layer = ProvidersFile.layer.pipe(
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provide(SecureRandom.layerWebCrypto),
  Layer.provideMerge(NodeServices.layer),
)

const run = Command.runWith(Command.withGlobalFlags(provider, GlobalFlags.all), { version: "0" })

/** What it says on stdout. */
const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const before = (yield* TestConsole.logLines).length
  yield* run(args)
  return (yield* TestConsole.logLines).slice(before).map(String)
})

/** What it says of a mistake. */
const mistake = (...args: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(run(args)), (error) => {
    if (!(error instanceof UsageError)) throw error
    return error.message
  })

const acme: ProviderDefinition = {
  name: "acme",
  record: { issuer: "https://acme.example", clientId: "c", scopes: [], flows: ["device_code"] },
}
const { clientId: _, ...needy } = acme.record
const withPlugins = Effect.provideService(ProviderDefinitions, [acme, { name: "needy", record: needy }, ...builtIn])

const written = Effect.map(BrokerConfig, ({ configFile }): unknown => JSON.parse(readFileSync(configFile, "utf8")))

describe("tokenkeep provider", () => {
  it.effect("lists what can be used beside what cannot, and says what is wrong without repeating it", () =>
    Effect.gen(function* () {
      const { configFile } = yield* BrokerConfig
      const good = { name: "good", extends: "github", clientId: "c" }
      const bad = { name: "bad", extends: "github", client_id: "c", clientSecret: "hunter2" }
      writeFileSync(configFile, JSON.stringify({ providers: [bad, good] }), { mode: 0o600 })
      assert.match((yield* said("list")).join(), /^PROVIDER .*\ngood /)
      const complaint = (yield* TestConsole.errorLines).join()
      for (const part of ["client_id: there is no such field", "clientId: it is missing", '{"env": NAME}']) {
        assert.include(complaint, part)
      }
      assert.notInclude(complaint, "hunter2")
    }).pipe(Effect.provide(layer)),
  )

  for (const [what, content, expected] of [
    ["has a comma too many", '{"providers": {\n  "hunter2": {},}}', "it is no JSON from line 2, column 17 on"],
    ["has no quotes", '{"providers": [hunter2]}', "it is no JSON, perhaps for a comma or a quote"],
    ["is empty", "", "it is no JSON"],
    ["has a provider without a name", '{"providers": ["./a.ts", {"clientId": "hunter2"}]}', "providers.1 is neither"],
    ["has no list of providers", '{"providers": "hunter2"}', "providers is neither an object nor a list"],
  ] as const) {
    it.effect(`says where a configuration is wrong that ${what}`, () =>
      Effect.gen(function* () {
        const { configFile } = yield* BrokerConfig
        writeFileSync(configFile, content, { mode: 0o600 })
        const { message } = yield* Effect.flip(Effect.flatMap(Providers, ({ list }) => list))
        assert.include(message, expected)
        assert.notInclude(message, "hunter2")
      }).pipe(Effect.provide(layer)),
    )
  }

  it.effect(
    "looks for the file of a secret from the folder of the configuration on, and keeps what is in it to itself",
    () =>
      Effect.gen(function* () {
        const { configFile } = yield* BrokerConfig
        const record = { extends: "github", clientId: "c" }
        const providers = {
          here: { ...record, clientSecret: { file: "secret.txt" } },
          misplaced: { ...record, clientSecret: { env: "hunter2" } },
        }
        writeFileSync(configFile, JSON.stringify({ providers }), { mode: 0o600 })
        writeFileSync(join(dirname(configFile), "secret.txt"), "hunter2\n")
        const { get } = yield* Providers
        assert.deepStrictEqual(Option.map((yield* get("here")).secret, Redacted.value), Option.some("hunter2"))
        const { message } = yield* Effect.flip(get("misplaced"))
        assert.include(message, "not the secret")
        assert.notInclude(message, "hunter2")

        yield* run(["add", "other", "--extends", "github", "--client-id", "c", "--client-secret-file", "secret.txt"])
        const { clientSecret } = yield* (yield* Providers).record("other")
        assert.deepStrictEqual(clientSecret, { file: resolve("secret.txt") })
      }).pipe(Effect.provide(layer)),
  )

  it.effect("adds what was typed to what is built in, and writes down no more than that", () =>
    Effect.gen(function* () {
      yield* run(["add", "microsoft", "--client-id", "mine"])
      const issuer = ["--issuer", "https://id.example"]
      yield* run(["add", "work", "--extends", "oidc", ...issuer, "--client-id", "c"])
      assert.deepStrictEqual(yield* written, {
        providers: {
          microsoft: { clientId: "mine" },
          work: { extends: "oidc", issuer: "https://id.example", clientId: "c" },
        },
      })
      const [shown = ""] = yield* said("show", "work")
      assert.containSubset(JSON.parse(shown), {
        issuer: "https://id.example",
        scopes: ["openid", "offline_access"],
        flows: ["device_code", "browser_redirect"],
      })
    }).pipe(Effect.provide(layer)),
  )

  it.effect("asks for what neither is known nor was typed, flag by flag", () =>
    Effect.gen(function* () {
      for (const [args, hint] of [
        [["google"], "--client-id"],
        [["google", "--client-id", "c"], "--scope"],
        [["x", "--extends", "oidc", "--client-id", "c"], "--issuer"],
        [["x", "--extends", "nobody", "--client-id", "c"], "--all"],
        [["x", "--issuer", "https://id.example", "--flow", "device"], "--client-id"],
        [["x", "--issuer", "https://id.example", "--client-id", "c"], "--flow"],
      ] as const) {
        assert.include(yield* mistake("add", ...args), hint, args.join(" "))
      }
    }).pipe(Effect.provide(layer)),
  )

  it.effect("takes nothing of gitlab.com to a GitLab elsewhere", () =>
    Effect.gen(function* () {
      const elsewhere = ["gl", "--extends", "gitlab", "--client-id", "c", "--scope", "api"]
      const token = ["--token-endpoint", "https://git.example/oauth/token"]
      const authorization = ["--authorization-endpoint", "https://git.example/oauth/authorize"]
      const revocation = ["--revocation-endpoint", "https://git.example/oauth/revoke"]
      assert.include(yield* mistake("add", ...elsewhere, ...token), "--device-endpoint")
      assert.include(yield* mistake("add", ...elsewhere, ...token, "--flow", "browser"), "--authorization-endpoint")
      yield* run(["add", ...elsewhere, ...token, ...authorization, ...revocation, "--flow", "browser"])
      const [shown = ""] = yield* said("show", "gl")
      assert.notInclude(shown, "gitlab.com")
      assert.include(shown, "https://git.example/oauth/revoke")
    }).pipe(Effect.provide(layer)),
  )

  it.effect("lists what is configured, and with --all what else is built in and what it needs", () =>
    Effect.gen(function* () {
      yield* run(["add", "microsoft", "--client-id", "mine"])
      const [list = ""] = yield* said("list")
      assert.deepStrictEqual(
        list.split("\n").map((line) => line.split(/ {2,}/)),
        [
          ["PROVIDER", "FLOWS", "ADDRESS"],
          ["microsoft", "browser,device,paste", "https://login.microsoftonline.com/common/oauth2/v2.0/token"],
        ],
      )
      const [json = ""] = yield* said("list", "--all", "--json")
      const { providers }: { readonly providers: ReadonlyArray<{ readonly name: string }> } = JSON.parse(json)
      const called = (name: string) => providers.filter((one) => one.name === name)
      assert.containSubset(called("microsoft"), [{ source: "configured", needs: [] }])
      assert.lengthOf(called("microsoft"), 1)
      assert.containSubset(called("google"), [{ source: "built in", needs: ["--client-id", "--scope"] }])
      assert.containSubset(called("gemini"), [{ source: "built in", needs: [] }])
      assert.containSubset(called("oidc"), [{ flows: ["device", "browser"], address: "" }])
      const [all = ""] = yield* said("list", "--all")
      assert.match(all, /^google .*built in +--client-id --scope +https:/m)
      assert.match((yield* TestConsole.errorLines).join("\n"), /Built in: .*google.*--all/)
    }).pipe(Effect.provide(layer)),
  )

  it.effect("lists and shows what a server has written of itself without its escapes", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const issuer = "https://id.example/\u001b]0;x\u0007\u009b2J\u202e"
      yield* providers.set("x", { issuer, clientId: "\u009b2J", scopes: [], flows: ["device_code"] })
      for (const line of [
        ...(yield* said("list")),
        ...(yield* said("list", "--json")),
        ...(yield* said("show", "x")),
      ]) {
        assert.match(line, /^[\n\x20-\x7e]*$/)
      }
    }).pipe(Effect.provide(layer)),
  )

  it.effect("says of a plugin that it is one, and what it needs", () =>
    Effect.gen(function* () {
      const [all = ""] = yield* said("list", "--all")
      assert.match(all, /^acme +device +- +- +https:/m)
      assert.match(all, /^needy +device +from a plugin +--client-id +https:/m)
      assert.match(all, /^google +device,browser +built in +--client-id --scope +https:/m)
      yield* run(["list"])
      assert.match((yield* TestConsole.errorLines).join("\n"), /Built in: .*google.* From plugins: needy\. See/)
    }).pipe(Effect.provide(layer), withPlugins),
  )

  it.effect("removes what is configured, and says of the rest why it stays", () =>
    Effect.gen(function* () {
      const last = Effect.map(TestConsole.errorLines, (lines) => String(lines.at(-1)))
      assert.match(yield* mistake("remove", "google"), /google is built in.* tokenkeep logout$/)
      assert.match(yield* mistake("remove", "acme"), /acme is from a plugin.*"providers"/)
      assert.include((yield* Effect.flip(run(["remove", "nobody"]))).message, "nobody")
      for (const [name, words] of [
        ["google", "Removed google. Its logins stay, but are not refreshed"],
        ["acme", "It is still there, as it is from a plugin."],
        ["gemini", "It is still there, as it is built in."],
      ] as const) {
        yield* run(["add", name, "--client-id", "mine", "--scope", "s"])
        yield* run(["remove", name])
        assert.include(yield* last, words)
      }
      assert.deepStrictEqual(yield* written, { providers: {} })
    }).pipe(Effect.provide(layer), withPlugins),
  )

  it.effect("shows no record that is not whole, but says what it lacks", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(run(["show", "google"]))
      assert.include(failure.message, "clientId, scopes")
    }).pipe(Effect.provide(layer)),
  )
})
