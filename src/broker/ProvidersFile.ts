/**
 * {@link Providers} in the configuration file. It is read anew each time, so that an edit counts at once, and what it
 * says beyond providers is kept. A secret is only referred to in it, and is looked up when it is needed.
 */
import { Config, Effect, FileSystem, Layer, Option, Redacted, Schema } from "effect"
import { ProviderName } from "../domain/AccountKey.ts"
import { ProviderNotConfigured, StoreCorrupt, StoreUnavailable } from "../domain/Errors.ts"
import { ProviderRecord, type SecretReference } from "../oauth/Provider.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { Providers } from "./Providers.ts"

const ConfigFile = Schema.StructWithRest(Schema.Struct({ providers: Schema.Record(ProviderName, ProviderRecord) }), [
  Schema.Record(Schema.String, Schema.Json),
])
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(ConfigFile))
const encode = Schema.encodeEffect(ConfigFile)

const empty: typeof ConfigFile.Type = { providers: {} }

export const layer = Layer.effect(
  Providers,
  Effect.gen(function* () {
    const { configFile } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const fs = yield* FileSystem.FileSystem

    const read = Effect.gen(function* () {
      const content = yield* files.read(configFile)
      if (Option.isNone(content)) return empty
      return yield* decode(content.value).pipe(Effect.mapError(() => StoreCorrupt.make({ path: configFile })))
    })

    const secretOf = (reference: SecretReference): Effect.Effect<Redacted.Redacted, StoreUnavailable> =>
      "env" in reference
        ? Config.Redacted(reference.env).pipe(
            Effect.mapError(() => StoreUnavailable.make({ path: `$${reference.env}`, operation: "read" })),
          )
        : fs.readFileString(reference.file).pipe(
            Effect.map((content) => Redacted.make(content.trim())),
            Effect.mapError(() => StoreUnavailable.make({ path: reference.file, operation: "read" })),
          )

    const record = Effect.fnUntraced(function* (name: string) {
      const { providers } = yield* read
      const found = Object.hasOwn(providers, name) ? providers[name] : undefined
      return found ?? (yield* ProviderNotConfigured.make({ provider: name }))
    })

    return Providers.of({
      record,
      get: Effect.fn("Providers.get")(function* (name) {
        const found = yield* record(name)
        const secret =
          found.clientSecret === undefined ? Option.none() : Option.some(yield* secretOf(found.clientSecret))
        return { ...found, name, secret }
      }),
      list: Effect.map(read, ({ providers }) => Object.keys(providers)),
      set: Effect.fn("Providers.set")(function* (name, record) {
        const config = yield* read
        const content = yield* Effect.orDie(encode({ ...config, providers: { ...config.providers, [name]: record } }))
        yield* files.write(configFile, `${JSON.stringify(content, undefined, 2)}\n`)
      }),
    })
  }),
)
