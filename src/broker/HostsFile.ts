/**
 * Which account's token may go to which host, in the configuration file of wherever the tool is that asks. It is read anew
 * each time, so that an edit counts at once.
 */
import { Effect } from "effect"
import type { HostEntry } from "../helpers/HostBinding.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"

const file = Effect.gen(function* () {
  const { configFile } = yield* BrokerConfig
  return { configFile, files: yield* PrivateFile.make }
})

/** What is bound, and what of the configuration makes no sense. */
export const read = Effect.gen(function* () {
  const { configFile, files } = yield* file
  return { configFile, ...ConfigFile.hosts(yield* ConfigFile.read(files, configFile)) }
})

/** Binds a host; or unbinds it, without an entry. */
export const set = Effect.fnUntraced(function* (host: string, entry?: HostEntry) {
  const { configFile, files } = yield* file
  const config = ConfigFile.withHost(yield* ConfigFile.read(files, configFile), host, entry)
  yield* files.write(configFile, `${JSON.stringify(config, undefined, 2)}\n`)
})
