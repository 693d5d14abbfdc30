/**
 * {@link Providers} in the configuration file. It is read anew each time, so that an edit counts at once, and what it
 * says beyond providers is kept. A secret is only referred to in it, and is looked up when it is needed.
 */
import { Config, Effect, FileSystem, Layer, Option, Path, Redacted } from "effect"
import { ProviderNotConfigured, SecretUnavailable } from "../domain/Errors.ts"
import type { SecretReference } from "../oauth/ProviderRecord.ts"
import { definitionOf, type Resolved, resolve } from "../oauth/ProviderResolution.ts"
import { builtIn } from "../providers/BuiltIn.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import * as FileReading from "../system/FileReading.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"
import { fieldsOf, Providers, resolvedOr } from "./Providers.ts"

export const layer = Layer.effect(
  Providers,
  Effect.gen(function* () {
    const { configFile } = yield* BrokerConfig
    const definitions = yield* ProviderDefinitions
    const files = yield* PrivateFile.make
    const known = yield* FileReading.make
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path

    const read = ConfigFile.read(files, configFile)

    // From the folder of the configuration on, as for plugins: the folder that this runs in is not always the same one.
    const fileOf = (file: string) => paths.resolve(paths.dirname(configFile), file)

    const secretOf = Effect.fnUntraced(function* (provider: string, reference: SecretReference) {
      const source =
        "env" in reference
          ? `the environment variable ${shownName(reference.env)}`
          : `the file ${fileOf(reference.file)}`
      const unreadable = SecretUnavailable.make({ provider, source })
      const text = yield* "env" in reference
        ? Effect.mapError(Config.String(reference.env), () => unreadable)
        : Effect.mapError(fs.readFileString(fileOf(reference.file)), () => unreadable)
      const secret = text.trim()
      return secret === "" ? yield* unreadable : Redacted.make(secret)
    })

    const write = (config: ConfigFile.ConfigFile) =>
      Effect.tap(files.write(configFile, `${JSON.stringify(config, undefined, 2)}\n`), () => Effect.sync(known.changed))

    let lastRead: FileReading.FileReading<ConfigFile.ConfigFile> | undefined
    const resolved = new Map<string, Resolved>()

    const find = Effect.fnUntraced(function* (name: string) {
      const { reading, value } = yield* known.read(configFile, read)
      const found = yield* resolvedOr(resolve(name, ConfigFile.records(value).get(name), definitions), name, configFile)
      if (Option.isSome(reading)) {
        if (lastRead === undefined || !known.isCurrent(lastRead)) resolved.clear()
        lastRead = reading.value
        resolved.set(name, found)
      }
      return found
    })

    const get = Effect.fn("Providers.get")(function* (name: string) {
      const { dialect, record } = yield* find(name)
      const { clientSecret } = record
      const secret = clientSecret === undefined ? Option.none() : Option.some(yield* secretOf(name, clientSecret))
      return { ...record, name, secret, ...(dialect !== undefined && { dialect }) }
    })

    return Providers.of({
      get,
      prepare: get,
      settle: () => Effect.void,
      record: (name) => Effect.map(find(name), ({ record }) => record),
      glance: (name) =>
        lastRead !== undefined && known.isCurrent(lastRead)
          ? Option.map(Option.fromUndefinedOr(resolved.get(name)), ({ record }) => record)
          : Option.none(),
      definition: (name) =>
        Effect.map(read, (config) => definitionOf(name, ConfigFile.records(config).get(name), definitions)),
      list: Effect.map(read, (config) => {
        const records = ConfigFile.records(config)
        // Whoever lists a plugin has configured its providers, if they need nothing more.
        const added = definitions.filter(
          (known) => !builtIn.includes(known) && resolve(known.name, undefined, definitions)._tag === "Resolved",
        )
        return [...new Set([...records.keys(), ...added.map(({ name }) => name)])]
      }),
      set: Effect.fn("Providers.set")(function* (name, said) {
        const config = yield* read
        const fields = fieldsOf(said)
        yield* resolvedOr(resolve(name, fields, definitions), name, configFile)
        yield* write(ConfigFile.withRecord(config, name, fields))
      }),
      remove: Effect.fn("Providers.remove")(function* (name) {
        const config = yield* read
        if (!ConfigFile.records(config).has(name)) return yield* ProviderNotConfigured.make({ provider: name })
        yield* write(ConfigFile.withRecord(config, name))
      }),
    })
  }),
)

/** A name as it is customary; what looks otherwise may be the secret itself, in the wrong place. */
const shownName = (name: string) =>
  /^[A-Z_][A-Z0-9_]*$/.test(name) ? name : "that its env names (which must be a name like ACME_SECRET, not the secret)"
