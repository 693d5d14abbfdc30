/**
 * The configuration file: what it says of providers, and all the rest, which is kept as it is.
 *
 * Providers are an object, by name; or a list, of records with a name, and of the modules that are plugins. `hosts` says
 * which account's token may go to which host; what of it makes no sense binds nothing, and spoils nothing else.
 */
import { Effect, Option, Predicate, Schema } from "effect"
import { ProviderName } from "../domain/AccountKey.ts"
import { ConfigCorrupt, type StoreUnavailable } from "../domain/Errors.ts"
import * as HostBinding from "../helpers/HostBinding.ts"

const NamedRecord = Schema.StructWithRest(Schema.Struct({ name: ProviderName }), [
  Schema.Record(Schema.String, Schema.Json),
])

const Entry = Schema.Union([Schema.NonEmptyString, NamedRecord])
type Entry = typeof Entry.Type
const isEntry = Schema.is(Entry)

/** Each record is read by itself, so that one bad record spoils no other. */
export const ConfigFile = Schema.StructWithRest(
  Schema.Struct({
    providers: Schema.Union([Schema.Array(Entry), Schema.Record(Schema.String, Schema.Json)]).pipe(
      Schema.withDecodingDefaultTypeKey(Effect.succeed({})),
    ),
  }),
  [Schema.Record(Schema.String, Schema.Json)],
)
export type ConfigFile = typeof ConfigFile.Type

export const empty: ConfigFile = { providers: {} }

const decode = Schema.decodeUnknownEffect(ConfigFile)

/** Where the text stops being JSON, if that is known; of what is there nothing is repeated, as it may be a secret. */
const notJson = (error: unknown): string => {
  const [, line, column] = /\(line (\d+) column (\d+)\)/.exec(String(error)) ?? []
  return line === undefined
    ? "it is no JSON, perhaps for a comma or a quote too many or too few"
    : `it is no JSON from line ${line}, column ${column} on`
}

const parse = (content: string) =>
  Effect.try({ try: (): unknown => JSON.parse(content), catch: notJson }).pipe(
    Effect.flatMap((json) => Effect.mapError(decode(json), shapeOf(json))),
  )

const shapeOf = (json: unknown) => (): string => {
  if (!Predicate.isObject(json)) return "it is no JSON object"
  const wrong = Array.isArray(json["providers"]) ? json["providers"].findIndex((entry) => !isEntry(entry)) : -1
  return wrong === -1
    ? "providers is neither an object nor a list"
    : `providers.${wrong} is neither a record with a name nor the path or package of a plugin`
}

/** What the file says; nothing, if there is none. */
export const read = Effect.fnUntraced(function* (
  files: { readonly read: (path: string) => Effect.Effect<Option.Option<string>, StoreUnavailable> },
  path: string,
) {
  const content = yield* files.read(path)
  if (Option.isNone(content)) return empty
  return yield* Effect.mapError(parse(content.value), (mistake) => ConfigCorrupt.make({ path, mistakes: [mistake] }))
})

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
    const put = record === undefined ? [] : [{ name, ...record }]
    return { ...config, providers: at === -1 ? [...providers, ...put] : providers.toSpliced(at, 1, ...put) }
  }
  const others = Object.entries(providers).filter(([other]) => record !== undefined || other !== name)
  return { ...config, providers: { ...Object.fromEntries(others), ...(record !== undefined && { [name]: record }) } }
}

/** The hosts that are bound to accounts. */
export const hosts = (config: ConfigFile) => HostBinding.read(config["hosts"])

const isJsonObject = Schema.is(Schema.Record(Schema.String, Schema.Json))

/** The file with this said of a host; or nothing any more, without an entry. */
export const withHost = (config: ConfigFile, host: string, entry?: HostBinding.HostEntry): ConfigFile => {
  const { hosts, ...rest } = config
  const known = isJsonObject(hosts) ? Object.entries(hosts) : []
  const others = known.filter(([other]) => entry !== undefined || other !== host)
  const all = { ...Object.fromEntries(others), ...(entry !== undefined && { [host]: entry }) }
  return { ...rest, providers: config.providers, ...(Object.keys(all).length > 0 && { hosts: all }) }
}
