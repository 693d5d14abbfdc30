/**
 * {@link Providers} in the configuration file. It is read anew each time, so that an edit counts at once, and what it
 * says beyond providers is kept. A secret is only referred to in it, and is looked up when it is needed.
 */
import { Config, Effect, FileSystem, Layer, Option, Redacted, Schema } from "effect"
import { ConfigCorrupt, ProviderNotConfigured, SecretUnavailable } from "../domain/Errors.ts"
import { ProviderRecord, type SecretReference } from "../oauth/Provider.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as FileReading from "./FileReading.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { Providers } from "./Providers.ts"

/** The file as it stands: each record is read by itself, so that one bad record spoils no other. */
const ConfigFile = Schema.StructWithRest(Schema.Struct({ providers: Schema.Record(Schema.String, Schema.Json) }), [
  Schema.Record(Schema.String, Schema.Json),
])
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(ConfigFile))
const decodeRecord = Schema.decodeUnknownEffect(ProviderRecord)
const encodeRecord = Schema.encodeEffect(ProviderRecord)

const empty: typeof ConfigFile.Type = { providers: {} }

export const layer = Layer.effect(
  Providers,
  Effect.gen(function* () {
    const { configFile } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const known = yield* FileReading.make
    const fs = yield* FileSystem.FileSystem

    const read = Effect.gen(function* () {
      const content = yield* files.read(configFile)
      if (Option.isNone(content)) return empty
      return yield* decode(content.value).pipe(Effect.mapError(() => ConfigCorrupt.make({ path: configFile })))
    })

    const secretOf = Effect.fnUntraced(function* (provider: string, reference: SecretReference) {
      const source = "env" in reference ? `the environment variable ${reference.env}` : `the file ${reference.file}`
      const unreadable = SecretUnavailable.make({ provider, source })
      const text = yield* "env" in reference
        ? Effect.mapError(Config.String(reference.env), () => unreadable)
        : Effect.mapError(fs.readFileString(reference.file), () => unreadable)
      const secret = text.trim()
      return secret === "" ? yield* unreadable : Redacted.make(secret)
    })

    const write = (config: typeof ConfigFile.Type) =>
      Effect.tap(files.write(configFile, `${JSON.stringify(config, undefined, 2)}\n`), () => Effect.sync(known.changed))

    let lastRead: FileReading.FileReading<typeof ConfigFile.Type> | undefined
    const records = new Map<string, ProviderRecord>()

    const record = Effect.fnUntraced(function* (name: string) {
      const { reading, value } = yield* known.read(configFile, read)
      if (!Object.hasOwn(value.providers, name)) return yield* ProviderNotConfigured.make({ provider: name })
      const found = yield* decodeRecord(value.providers[name]).pipe(
        Effect.mapError(() => ConfigCorrupt.make({ path: configFile, provider: name })),
      )
      if (Option.isSome(reading)) {
        if (lastRead === undefined || !known.isCurrent(lastRead)) records.clear()
        lastRead = reading.value
        records.set(name, found)
      }
      return found
    })

    return Providers.of({
      record,
      glance: (name) =>
        lastRead !== undefined && known.isCurrent(lastRead) ? Option.fromUndefinedOr(records.get(name)) : Option.none(),
      get: Effect.fn("Providers.get")(function* (name) {
        const found = yield* record(name)
        const secret =
          found.clientSecret === undefined ? Option.none() : Option.some(yield* secretOf(name, found.clientSecret))
        return { ...found, name, secret }
      }),
      list: Effect.map(read, ({ providers }) => Object.keys(providers)),
      set: Effect.fn("Providers.set")(function* (name, record) {
        const config = yield* read
        const encoded = yield* Effect.orDie(encodeRecord(record))
        yield* write({ ...config, providers: { ...config.providers, [name]: encoded } })
      }),
      remove: Effect.fn("Providers.remove")(function* (name) {
        const config = yield* read
        if (!Object.hasOwn(config.providers, name)) return yield* ProviderNotConfigured.make({ provider: name })
        const rest = Object.entries(config.providers).filter(([other]) => other !== name)
        yield* write({ ...config, providers: Object.fromEntries(rest) })
      }),
    })
  }),
)
