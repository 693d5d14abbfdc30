/**
 * Plugins: what is loaded, and what is refused with which words.
 */
import { chmodSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { Broker } from "../../../src/broker/Broker.ts"
import { BrokerConfig } from "../../../src/broker/BrokerConfig.ts"
import { defineProvider, type ProviderPlugin } from "../../../src/broker/ProviderPlugin.ts"
import { Providers } from "../../../src/broker/Providers.ts"
import * as ProvidersFile from "../../../src/broker/ProvidersFile.ts"
import { TokenStore } from "../../../src/broker/TokenStore.ts"
import * as PluginLoading from "../../../src/cli/plugins/PluginLoading.ts"
import { ProviderDefinitions } from "../../../src/providers/ProviderDefinitions.ts"
import * as TemporaryHome from "../../support/TemporaryHome.ts"

const record = `{ issuer: "https://id.example", clientId: "c", scopes: [], flows: ["device_code"] }`

/** What comes of a configuration, and of the modules beside it. */
const load = (providers: ReadonlyArray<unknown>, modules: { readonly [file: string]: string }, mode = 0o600) =>
  Effect.gen(function* () {
    const home = yield* TemporaryHome.make
    writeFileSync(`${home}/config.json`, JSON.stringify({ providers }))
    for (const [file, text] of Object.entries(modules)) {
      writeFileSync(`${home}/${file}`, text)
      chmodSync(`${home}/${file}`, mode)
    }
    const config = BrokerConfig.layer(home)
    const loaded = yield* PluginLoading.load(["login", "status"]).pipe(Effect.provide(config))
    const definitions = ProviderDefinitions.withBuiltIn(loaded.plugins)
    const { list, record } = yield* Effect.provide(
      Providers,
      Layer.fresh(ProvidersFile.layer).pipe(
        Layer.provide(config),
        Layer.provide(Layer.succeed(ProviderDefinitions, definitions)),
      ),
    )
    return {
      ...loaded,
      definitions,
      names: loaded.plugins.map(({ name }) => name),
      whys: loaded.refused.map(({ message }) => message),
      listed: yield* list,
      record,
    }
  }).pipe(Effect.provide([NodeServices.layer, SecureRandom.layerWebCrypto]))

describe("plugins that the configuration lists", () => {
  it.live("are loaded from files beside it, alone or several in one, and count as configured", () =>
    Effect.gen(function* () {
      const known = {
        name: "known",
        issuer: "https://known.example",
        clientId: "c",
        scopes: [],
        flows: ["device_code"],
      }
      const more = { name: "three", clientId: "mine" }
      const {
        definitions,
        listed,
        names,
        record: recordOf,
        whys,
      } = yield* load(["./one.mjs", known, "./two.ts", more], {
        "one.mjs": `export default { name: "one", record: ${record} }`,
        "two.ts": `const name: string = "two"
            export const provider = [
              { name, record: ${record} },
              { name: "three", record: { issuer: "https://three.example", scopes: [], flows: ["device_code"] } },
              { name: "needs", record: { issuer: "https://needs.example" } },
            ]`,
      })
      assert.deepStrictEqual(whys, [])
      assert.deepStrictEqual(names, ["one", "two", "three", "needs"])
      // One that still needs something does not count.
      assert.deepStrictEqual(listed, ["known", "three", "one", "two"])
      assert.strictEqual((yield* recordOf("three")).clientId, "mine")
      assert.strictEqual((yield* Effect.flip(recordOf("needs")))._tag, "ProviderNotConfigured")
      assert.include(
        definitions.map(({ name }) => name),
        "anthropic",
      )
    }),
  )

  it.live("are none where it lists none", () =>
    Effect.gen(function* () {
      const { definitions, plugins } = yield* load([], {})
      assert.strictEqual(plugins, PluginLoading.none.plugins)
      assert.deepStrictEqual(definitions, yield* ProviderDefinitions)
    }),
  )

  for (const [what, text, words] of [
    ["does not parse", "export default {", /\.\/it\.mjs was not loaded: it does not load: /],
    ["throws", `throw new Error("\\u001b[31mno\\nluck")`, /it does not load: .*no luck\. What it provides/],
    ["exports nothing", "export const other = 1", /it exports no provider, as default or as provider/],
    ["exports no object", "export default 7", /it is no provider \(.*\)/],
    ["has no name", `export default { record: ${record} }`, /it is no provider \(name: /],
    ["has a field that is none", `export default { name: "it", record: ${record}, dialects: {} }`, /\(dialects: /],
    [
      "has a dialect that is none",
      `export default { name: "it", record: ${record}, dialect: { answer: 1 } }`,
      /dialect\.answer: expected a function/i,
    ],
    ["has a command that is none", `export default { name: "it", record: ${record}, commands: [{}] }`, /commands\.0: /],
    [
      "has a record that is none",
      `export default { name: "it", record: { endpoints: { token: "http://x.example" } } }`,
      /record\.endpoints\.token: expected an https URL/,
    ],
    [
      "has a record with a field that is none",
      `export default { name: "it", record: { clientID: "x" } }`,
      /record\.clientID: /,
    ],
    [
      "has a name that is built in",
      `export default { name: "anthropic", record: ${record} }`,
      /is built in.*overrides: true/,
    ],
    [
      "has the name of a command",
      `import { Command } from "effect/cli"
      export default { name: "status", record: ${record}, commands: [Command.make("it")] }`,
      /its commands would be tokenkeep status, which there is already/,
    ],
    [
      "is there twice",
      `export default [{ name: "it", record: ${record} }, { name: "it", record: ${record} }]`,
      /another plugin has its name, it/,
    ],
  ] as const) {
    it.live(`are refused when one ${what}, and the others are not`, () =>
      Effect.gen(function* () {
        const { names, whys } = yield* load(["./it.mjs", "./good.mjs"], {
          "it.mjs": text,
          "good.mjs": `export default { name: "good", record: ${record} }`,
        })
        assert.deepStrictEqual(names, ["good"])
        assert.lengthOf(whys, 1)
        assert.match(whys[0] ?? "", words)
        assert.notMatch(whys[0] ?? "", /\p{Cc}/u)
      }),
    )
  }

  it.live("are refused when they are not there", () =>
    Effect.gen(function* () {
      const { whys } = yield* load(["./gone.ts", "../nowhere/gone.ts", "./folder"], {})
      assert.lengthOf(whys, 3)
      for (const why of whys) assert.match(why, /there is no file .* that can be read/)
    }),
  )

  it.live("are refused when others can write to them", () =>
    Effect.gen(function* () {
      const text = { "it.mjs": `export default { name: "it", record: ${record} }` }
      for (const mode of [0o620, 0o602, 0o666]) {
        const { names, whys } = yield* load(["./it.mjs"], text, mode)
        assert.deepStrictEqual(names, [])
        assert.match(whys[0] ?? "", /others than its owner can write to .*chmod go-w \//)
      }
      assert.deepStrictEqual((yield* load(["./it.mjs"], text, 0o644)).names, ["it"])
    }),
  )

  it.live("take the place of what is built in where they say so", () =>
    Effect.gen(function* () {
      const { definitions, names } = yield* load(["./it.mjs"], {
        "it.mjs": `export default { name: "anthropic", overrides: true, record: ${record} }`,
      })
      assert.deepStrictEqual(names, ["anthropic"])
      const [found, ...others] = definitions.filter(({ name }) => name === "anthropic")
      assert.strictEqual(found?.record.issuer, "https://id.example")
      assert.deepStrictEqual(others, [])
    }),
  )
})

describe("the types of a plugin", () => {
  const whoami = Command.make("whoami", {}, () => Broker)
  const right = { issuer: "https://id.example", clientId: "c", scopes: [], flows: ["device_code"] } as const

  it("let through what is one, as it is", () => {
    const plugin = { name: "it", record: right, commands: [whoami] } as const
    assert.strictEqual<ProviderPlugin>(defineProvider(plugin), plugin)
  })

  it("let no mistake through", () => {
    const needsTheStore = Command.make("all", {}, () => TokenStore)
    // @ts-expect-error a field of the record is spelled wrong
    defineProvider({ name: "it", record: { clientID: "c" } })
    // @ts-expect-error there is no such flow
    defineProvider({ name: "it", record: { flows: ["implicit"] } })
    // @ts-expect-error endpoints have at least one for tokens
    defineProvider({ name: "it", record: { endpoints: { authorization: "https://id.example" } } })
    // @ts-expect-error a plugin has a name
    defineProvider({ record: right })
    // @ts-expect-error there is no such field
    defineProvider({ name: "it", record: right, dialects: {} })
    // @ts-expect-error an answer has a status
    defineProvider({ name: "it", record: right, dialect: { answer: ({ body }) => ({ body }) } })
    // @ts-expect-error what status shows is short
    defineProvider({ name: "it", record: right, snapshot: () => ({ all: { of: "it" } }) })
    // @ts-expect-error the store is not for plugins
    defineProvider({ name: "it", record: right, commands: [needsTheStore] })
    // @ts-expect-error how a command fails can be said
    defineProvider({ name: "it", record: right, commands: [Command.make("all", {}, () => Effect.fail(7))] })
    // @ts-expect-error extra fields become extra fields
    defineProvider({ name: "it", record: right, migrations: [() => 7] })
  })
})
