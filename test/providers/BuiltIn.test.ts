import { readFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as ProvidersFile from "../../src/broker/ProvidersFile.ts"
import { Call, ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const layerFile = ProvidersFile.layer.pipe(
  Layer.provideMerge(TemporaryHome.layerConfig()),
  Layer.provide(SecureRandom.layerWebCrypto),
  Layer.provideMerge(NodeServices.layer),
)

/** What a person has to say of those that are not theirs to know. */
const said: { readonly [name: string]: object } = {
  google: { clientId: "c", scopes: ["openid"] },
  github: { clientId: "c" },
  microsoft: { clientId: "c" },
  gitlab: { clientId: "c", scopes: ["read_user"] },
  oidc: { clientId: "c", issuer: "https://id.example" },
}

const texts = Schema.Record(Schema.String, Schema.String)
const answers = Schema.Struct({ status: Schema.Int, headers: texts, body: Schema.JsonObject })
const requests = Schema.Struct({
  call: Call,
  method: Schema.Literals(["GET", "POST"]),
  url: Schema.String,
  headers: texts,
  encoding: Schema.Literals(["form", "json"]),
  parameters: texts,
})
/** Fields that vendors use, with anything in them. */
const anything = Schema.optionalKey(Schema.Json)
const odd = Schema.Struct({
  status: Schema.Literals([200, 400, 401, 404, 429]),
  body: Schema.Struct({
    access_token: anything,
    code: anything,
    error: anything,
    error_code: anything,
    expires_at: anything,
    resource_url: anything,
    token: anything,
  }),
})

describe("what is built in", () => {
  for (const { dialect, name } of builtIn) {
    it(`${name} is complete with what a person says of it, and says itself what that is`, () => {
      const resolution = resolve(name, JSON.parse(JSON.stringify(said[name] ?? {})), builtIn)
      assert.strictEqual(resolution._tag, "Resolved")
      const known = resolve(name, undefined, builtIn)
      assert.sameMembers(
        known._tag === "Incomplete" ? [...known.missing] : [],
        Object.keys(said[name] ?? {}),
        JSON.stringify(known),
      )
    })

    if (dialect !== undefined) {
      it.prop(
        `${name} understands, or leaves alone, whatever is answered`,
        [answers, requests, odd, Schema.Boolean],
        ([answer, to, fields, isOdd]) => {
          const resolution = resolve(name, JSON.parse(JSON.stringify(said[name] ?? {})), builtIn)
          if (resolution._tag !== "Resolved") return
          const { record } = resolution.resolved
          const asked = dialect.request?.(to, record) ?? to
          assert.isString(asked.url)
          const understood = dialect.answer?.(isOdd ? { ...answer, ...fields } : answer, asked, record)
          assert.isTrue(understood === undefined || "url" in understood || Number.isInteger(understood.status))
        },
      )
    }
  }

  it.effect("names the environment variable that a client's secret is missing from", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const failure = yield* Effect.flip(providers.get("gemini"))
      assert.strictEqual(failure._tag, "SecretUnavailable")
      assert.include(failure.message, "TOKENKEEP_GEMINI_CLIENT_SECRET")
    }).pipe(Effect.provide(layerFile)),
  )

  it.effect("is what a configuration builds on, which keeps only what is said in it", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      yield* providers.set("work", { extends: "microsoft", clientId: "mine" })
      const record = yield* providers.record("work")
      assert.strictEqual(record.clientId, "mine")
      assert.include(record.endpoints?.token ?? "", "login.microsoftonline.com")
      assert.isTrue(Schema.is(ProviderRecord)(record))
      assert.strictEqual((yield* Effect.flip(providers.set("gitlab", {})))._tag, "ConfigCorrupt")
      assert.strictEqual((yield* Effect.flip(providers.set("x", { extends: "nobody" })))._tag, "ConfigCorrupt")
      assert.deepStrictEqual(yield* providers.list, ["work"])
      // A program may say all of a provider that it has at hand; the file is not for secrets.
      const whole = { ...record, clientId: "other", secret: "hunter2" }
      yield* providers.set("own", whole)
      const { configFile } = yield* BrokerConfig
      assert.notInclude(readFileSync(configFile, "utf8"), "hunter2")
      assert.strictEqual((yield* providers.record("own")).clientId, "other")
    }).pipe(Effect.provide(layerFile)),
  )
})
