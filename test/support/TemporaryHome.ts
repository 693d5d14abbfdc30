/**
 * A home folder of its own for a test, gone after it.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, Layer } from "effect"
import { BrokerConfig, type Settings } from "../../src/broker/BrokerConfig.ts"

/** Makes a folder that is removed when the scope closes. */
export const make = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "tokenkeep-test-" }),
).pipe(Effect.orDie, Effect.provide(NodeServices.layer))

/** Settings that keep everything in such a folder. */
export const layerConfig = (overrides: Partial<Settings> = {}): Layer.Layer<BrokerConfig> =>
  Layer.unwrap(Effect.map(make, (home) => BrokerConfig.layer(home, overrides)))
