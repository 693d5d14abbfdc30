/**
 * The configuration file: what it says of providers, and all the rest, which is kept as it is.
 *
 * Providers are an object, by name; or a list, of records with a name, and of the modules that are plugins.
 */
import { Effect, Option, Schema } from "effect"
import { ProviderName } from "../domain/AccountKey.ts"
import { ConfigCorrupt, type StoreUnavailable } from "../domain/Errors.ts"

const NamedRecord = Schema.StructWithRest(Schema.Struct({ name: ProviderName }), [
  Schema.Record(Schema.String, Schema.Json),
])

/** Each record is read by itself, so that one bad record spoils no other. */
export const ConfigFile = Schema.StructWithRest(
  Schema.Struct({
    providers: Schema.Union([
      Schema.Array(Schema.Union([Schema.NonEmptyString, NamedRecord])),
      Schema.Record(Schema.String, Schema.Json),
    ]).pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed({}))),
  }),
  [Schema.Record(Schema.String, Schema.Json)],
)
export type ConfigFile = typeof ConfigFile.Type

export const empty: ConfigFile = { providers: {} }

const decode = Schema.decodeEffect(Schema.fromJsonString(ConfigFile))

/** What the file says; nothing, if there is none. */
export const read = Effect.fnUntraced(function* (
  files: { readonly read: (path: string) => Effect.Effect<Option.Option<string>, StoreUnavailable> },
  path: string,
) {
  const content = yield* files.read(path)
  if (Option.isNone(content)) return empty
  return yield* Effect.mapError(decode(content.value), () => ConfigCorrupt.make({ path }))
})

type Entry = string | typeof NamedRecord.Type

const isList = (providers: ConfigFile["providers"]): providers is ReadonlyArray<Entry> => Array.isArray(providers)

/** What the file says of each provider, in its order. */
export const records = ({ providers }: ConfigFile): ReadonlyMap<string, Schema.Json> => {
  if (!isList(providers)) return new Map(Object.entries(providers))
  return new Map(
    providers.flatMap((entry) => {
      if (typeof entry === "string") return []
      const { name, ...record } = entry
      return [[name, record]]
    }),
  )
}

/** The modules to load. */
export const plugins = ({ providers }: ConfigFile): ReadonlyArray<string> =>
  isList(providers) ? providers.filter((entry) => typeof entry === "string") : []

/** The file with this said of a provider; or nothing any more, without a record. */
export const withRecord = (config: ConfigFile, name: string, record?: Schema.JsonObject): ConfigFile => {
  const { providers } = config
  if (isList(providers)) {
    const at = providers.findIndex((entry) => typeof entry !== "string" && entry.name === name)
    const put = record === undefined ? [] : [{ ...record, name }]
    return { ...config, providers: at === -1 ? [...providers, ...put] : providers.toSpliced(at, 1, ...put) }
  }
  const others = Object.entries(providers).filter(([other]) => record !== undefined || other !== name)
  return { ...config, providers: { ...Object.fromEntries(others), ...(record !== undefined && { [name]: record }) } }
}
