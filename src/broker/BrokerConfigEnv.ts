/**
 * {@link BrokerConfig} from the environment and the user's directories (XDG is honoured).
 *
 * | variable | meaning |
 * |---|---|
 * | `TOKENKEEP_HOME` | one folder for configuration, tokens and socket |
 * | `TOKENKEEP_SESSION_TIMEOUT_SECONDS` | the life of a login session (older name: `LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS`) |
 * | `XDG_RUNTIME_DIR` | where the socket's folder goes, if `TOKENKEEP_HOME` is not set |
 */
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Config, Duration, Effect, Layer, Option, type PlatformError, Schema } from "effect"
import { UserDirectories } from "effect/persistence"
import * as Ownership from "../system/Ownership.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

const app = "tokenkeep"

const Seconds = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 1, maximum: 86_400 }))

const environment = Config.all({
  home: Config.option(Config.NonEmptyString("TOKENKEEP_HOME")),
  runtime: Config.option(Config.NonEmptyString("XDG_RUNTIME_DIR")),
  lifetime: Config.option(Config.schema(Seconds, "TOKENKEEP_SESSION_TIMEOUT_SECONDS")),
  olderLifetime: Config.option(Config.schema(Seconds, "LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS")),
})

export const layer: Layer.Layer<BrokerConfig, Config.ConfigError | PlatformError.PlatformError> = Layer.effect(
  BrokerConfig,
  Effect.gen(function* () {
    const { home, lifetime, olderLifetime, runtime } = yield* environment
    const seconds = Option.orElse(lifetime, () => olderLifetime)
    const directories = yield* UserDirectories.UserDirectories
    const settings = Option.isSome(home)
      ? BrokerConfig.defaults(home.value)
      : {
          ...BrokerConfig.defaults(yield* directories.state(app)),
          configFile: join(yield* directories.config(app), "config.json"),
          accountsDirectory: join(yield* directories.data(app), "accounts"),
          keysDirectory: join(yield* directories.data(app), "keys"),
          clientsDirectory: join(yield* directories.data(app), "clients"),
          socketPath: Option.match(runtime, {
            onNone: () => join(tmpdir(), `${app}-${Ownership.uid()}`, "host.sock"),
            onSome: (folder) => join(folder, app, "host.sock"),
          }),
        }
    return {
      ...settings,
      ...(Option.isSome(seconds) && { sessionLifetime: Duration.seconds(seconds.value) }),
    }
  }),
).pipe(Layer.provide(UserDirectories.layer))
