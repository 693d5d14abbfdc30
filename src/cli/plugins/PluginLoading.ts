/**
 * Loads the plugins that the configuration lists, and refuses what is none with a reason. One that is refused takes nothing
 * else with it.
 *
 * Whatever a plugin and tokenkeep must have in common, its plugin gets from here: so a file that lies anywhere can import
 * `tokenkeep` and `effect`, and there is one copy of each.
 */
import { registerHooks } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Data, Effect, FileSystem, Option, Path, Predicate, Result, Schema } from "effect"
import { Command } from "effect/cli"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import * as ConfigFile from "../../broker/ConfigFile.ts"
import type { CommandServices } from "../../broker/ProviderPlugin.ts"
import { ProviderName } from "../../domain/AccountKey.ts"
import { oneLine } from "../../domain/RemoteText.ts"
import type { Dialect } from "../../oauth/Dialect.ts"
import type { ExtrasMigration, ProviderDefinition } from "../../oauth/Provider.ts"
import { mistakesIn, resolve } from "../../oauth/ProviderResolution.ts"
import { builtIn } from "../../providers/BuiltIn.ts"
import * as Ownership from "../../system/Ownership.ts"
import * as PrivateFile from "../../system/PrivateFile.ts"
import type { Failure } from "../ExitCode.ts"

/** Why a plugin was not loaded. */
export class PluginRefused extends Data.TaggedError("PluginRefused")<{
  readonly module: string
  readonly why: string
}> {
  override get message(): string {
    return `The plugin ${oneLine(this.module)} was not loaded: ${oneLine(this.why)}. What it provides cannot be used until that is mended; all else can.`
  }
}

/** A command of a plugin. What it needs, and how it fails, was checked where it was written. */
export type PluginCommand = Command.Command<string, {}, {}, Failure, CommandServices>

export interface LoadedPlugin extends ProviderDefinition {
  readonly commands?: ReadonlyArray<PluginCommand>
}

export interface Loaded {
  readonly plugins: ReadonlyArray<LoadedPlugin>
  readonly refused: ReadonlyArray<PluginRefused>
}

export const none: Loaded = { plugins: [], refused: [] }

/** Loads all. `commands` are the names that a plugin's commands cannot have. */
export const load = Effect.fnUntraced(function* (commands: ReadonlyArray<string>) {
  const { configFile } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const config = yield* ConfigFile.read(files, configFile)
  const modules = ConfigFile.plugins(config)
  if (modules.length === 0) return none
  yield* Effect.sync(() => shareWithPlugins(pathToFileURL(configFile).href))
  const plugins: Array<LoadedPlugin> = []
  const refused: Array<PluginRefused> = []
  for (const module of modules) {
    const accepted = yield* Effect.result(
      Effect.gen(function* () {
        const values = yield* read(module, yield* find(module, configFile))
        const accepted: Array<LoadedPlugin> = []
        for (const value of values) accepted.push(yield* accept(module, value, [...plugins, ...accepted], commands))
        return accepted
      }),
    )
    if (Result.isSuccess(accepted)) plugins.push(...accepted.success)
    else refused.push(accepted.failure)
  }
  return { plugins, refused }
})

// Finding

/** What a package of the configuration is asked for by, among all that is imported in this process. */
const scheme = "tokenkeep-plugin:"

const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))

const ours = new Map(
  [
    ["tokenkeep", "../../index"],
    ["tokenkeep/cli", "../index"],
    ["tokenkeep/testing", "../../testing/index"],
  ].map(([name = "", path = ""]) => [name, new URL(path + extension, import.meta.url).href]),
)

const isShared = (specifier: string) => /^(effect|@effect\/platform-node)(\/|$)/.test(specifier)

let isSharing = false

/** From the configuration's folder are looked for, and then from tokenkeep's own, the packages that it names. */
const shareWithPlugins = (configFile: string) => {
  if (isSharing) return
  isSharing = true
  registerHooks({
    resolve: (specifier, context, next) => {
      const own = ours.get(specifier)
      if (own !== undefined) return { url: own, shortCircuit: true }
      const here = { ...context, parentURL: import.meta.url }
      if (isShared(specifier)) return next(specifier, here)
      if (!specifier.startsWith(scheme)) return next(specifier, context)
      const name = specifier.slice(scheme.length)
      return Option.getOrElse(Option.liftThrowable(() => next(name, { ...context, parentURL: configFile }))(), () =>
        next(name, here),
      )
    },
  })
}

const isPath = (module: string) => module.startsWith("./") || module.startsWith("../") || module.startsWith("/")

/** Where the module is, if that is a place that nobody else can write to. */
const find = Effect.fnUntraced(function* (module: string, configFile: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const folder = paths.dirname(configFile)
  const refuse = (why: string) => new PluginRefused({ module, why })
  const url = yield* isPath(module)
    ? Effect.succeed(pathToFileURL(paths.resolve(folder, module)).href)
    : Effect.try({
        try: () => import.meta.resolve(scheme + module),
        catch: () =>
          refuse(
            `no such package is installed, neither in ${folder} nor where tokenkeep is; a file is written ./like-this`,
          ),
      })
  if (!url.startsWith("file:")) return yield* refuse("it is no file")
  const path = fileURLToPath(url)
  const info = yield* Effect.mapError(fs.stat(path), () => refuse(`there is no file ${path} that can be read`))
  if (info.type !== "File") return yield* refuse(`${path} is no file`)
  const us = Ownership.uid()
  if (us !== -1) {
    const owner = Option.getOrElse(info.uid, () => Ownership.root)
    if (owner !== Ownership.root && owner !== us) {
      return yield* refuse(`${path} belongs to another user, and would be run with all the rights of tokenkeep`)
    }
    if ((info.mode & Ownership.groupOrOthersMayWrite) !== 0) {
      return yield* refuse(
        `others than its owner can write to ${path}, and it would be run with all the rights of tokenkeep; mend that with: chmod go-w ${path}`,
      )
    }
  }
  return url
})

// Reading

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What the module exports: one plugin, or several. */
const read = Effect.fnUntraced(function* (module: string, url: string) {
  const exports: unknown = yield* Effect.tryPromise({
    try: () => import(/* @vite-ignore */ url),
    catch: (error) => new PluginRefused({ module, why: `it does not load: ${messageOf(error)}` }),
  })
  const found = ["default", "provider"].flatMap((name) => (Predicate.hasProperty(exports, name) ? [exports[name]] : []))
  if (found[0] === undefined) {
    return yield* new PluginRefused({ module, why: "it exports no provider, as default or as provider" })
  }
  return Array.isArray(found[0]) ? found[0] : [found[0]]
})

// Checking

const functionOf = <F>() =>
  Schema.declare((value: unknown): value is F => typeof value === "function", { expected: "a function" })

const isCommand = (value: unknown): value is PluginCommand => Command.isCommand(value)

const Plugin = Schema.Struct({
  name: ProviderName,
  record: Schema.JsonObject,
  dialect: Schema.optionalKey(
    Schema.Struct({
      request: Schema.optionalKey(functionOf<NonNullable<Dialect["request"]>>()),
      answer: Schema.optionalKey(functionOf<NonNullable<Dialect["answer"]>>()),
    }),
  ),
  migrations: Schema.optionalKey(Schema.Array(functionOf<ExtrasMigration>())),
  snapshot: Schema.optionalKey(functionOf<NonNullable<ProviderDefinition["snapshot"]>>()),
  overrides: Schema.optionalKey(Schema.Boolean),
  commands: Schema.optionalKey(Schema.Array(Schema.declare(isCommand, { expected: "a command of effect/cli" }))),
})

const decodePlugin = Schema.decodeUnknownEffect(Plugin, { onExcessProperty: "error" })

/** What is wrong with a record, besides what the configuration may add. */
const mistakesInRecord = (record: Schema.JsonObject): ReadonlyArray<string> => {
  const missing = { clientId: "unknown", scopes: [], flows: ["device_code"] }
  const address = "endpoints" in record ? {} : { issuer: "https://unknown.example" }
  const resolution = resolve("any", { ...missing, ...address, ...record }, [])
  return resolution._tag === "Malformed" ? resolution.mistakes.map((mistake) => `record.${mistake}`) : []
}

/** Whether it is a provider, under a name that is free. */
const accept = Effect.fnUntraced(function* (
  module: string,
  value: unknown,
  others: ReadonlyArray<LoadedPlugin>,
  commands: ReadonlyArray<string>,
) {
  const refuse = (why: string) => new PluginRefused({ module, why })
  const wrong = (mistakes: ReadonlyArray<string>) => refuse(`it is no provider (${mistakes.join("; ")})`)
  const plugin = yield* Effect.mapError(decodePlugin(value), (error) => wrong(mistakesIn(error)))
  const { name, record } = plugin
  const mistakes = mistakesInRecord(record)
  if (mistakes.length > 0) return yield* wrong(mistakes)
  if (others.some((other) => other.name === name)) return yield* refuse(`another plugin has its name, ${name}`)
  if (plugin.overrides !== true && builtIn.some((known) => known.name === name)) {
    return yield* refuse(
      `a provider of its name, ${name}, is built in; if it is to be replaced, the plugin has to say overrides: true`,
    )
  }
  if (plugin.commands !== undefined && plugin.commands.length > 0 && commands.includes(name)) {
    return yield* refuse(`its commands would be tokenkeep ${name}, which there is already`)
  }
  return plugin
})
