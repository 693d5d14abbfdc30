/**
 * A {@link BrokerClient} for programs in a sandbox: the environment says where the host is, and what to show it.
 *
 * | variable | meaning |
 * |---|---|
 * | `TOKENKEEP_SOCKET` | where the host listens: a path, or `tcp://host:port` |
 * | `TOKENKEEP_CAPABILITY_FD` | the number of a descriptor with the capability; it can be read again, and is left open |
 * | `TOKENKEEP_CAPABILITY` | the capability itself, where no descriptor reaches |
 */
import { Config, ConfigProvider, Effect, Layer, Option, Redacted, Schema } from "effect"
import type { Broker } from "../broker/Broker.ts"
import * as BrokerClient from "./BrokerClient.ts"
import { contentOf, isCapability } from "./Endpoint.ts"
import type { Options } from "./HostConnection.ts"

const Descriptor = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 }))

const environment = Config.all({
  descriptor: Config.option(Config.schema(Descriptor, "TOKENKEEP_CAPABILITY_FD")),
  capability: Config.option(Config.Redacted("TOKENKEEP_CAPABILITY")).pipe(
    Config.map(Option.filter((shown) => Redacted.value(shown) !== "")),
  ),
})

const unreadable = (descriptor: number) =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({
      message: `TOKENKEEP_CAPABILITY_FD is ${descriptor}, and no capability can be read there: the program that started this one did not pass it on. Try tokenkeep exec --capability env.`,
    }),
  )

const read = (descriptor: number) =>
  Effect.try({ try: () => contentOf(descriptor), catch: () => unreadable(descriptor) }).pipe(
    Effect.filterOrFail(isCapability, () => unreadable(descriptor)),
    Effect.map((text) => Redacted.make(text)),
  )

/** The host that the environment names; none if it names none. */
export const host: Effect.Effect<Option.Option<Options>, Config.ConfigError> = Effect.gen(function* () {
  const path = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
  if (Option.isNone(path)) return Option.none()
  const { capability, descriptor } = yield* environment
  const shown = Option.isSome(descriptor) ? Option.some(yield* read(descriptor.value)) : capability
  return Option.some({ path: path.value, ...(Option.isSome(shown) && { capability: shown.value }) })
})

/** The broker of the host that the environment names. */
export const layer: Layer.Layer<Broker, Config.ConfigError> = Layer.unwrap(
  Effect.gen(function* () {
    const named = yield* host
    return BrokerClient.layer(
      Option.isSome(named) ? named.value : { path: yield* Config.NonEmptyString("TOKENKEEP_SOCKET") },
    )
  }),
)
