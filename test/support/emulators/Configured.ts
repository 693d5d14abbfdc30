/**
 * A broker that knows one provider as a person has configured it: what is built in, with some of it said anew.
 */
import { Clock, Duration, Effect, Fiber, Layer, Option } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Broker } from "../../../src/broker/Broker.ts"
import { BrokerConfig } from "../../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../../src/broker/BrokerHost.ts"
import type { AccountKey } from "../../../src/domain/AccountKey.ts"
import type { Provider } from "../../../src/oauth/Provider.ts"
import { resolve } from "../../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../../src/providers/BuiltIn.ts"

/** The provider of that name, if its record says enough. */
export const configured = (name: string, said: object): Provider => {
  const resolution = resolve(name, JSON.parse(JSON.stringify(said)), builtIn)
  if (resolution._tag !== "Resolved") throw new Error(`${name} is ${resolution._tag}`)
  const { dialect, record } = resolution.resolved
  return { ...record, name, secret: Option.none(), ...(dialect !== undefined && { dialect }) }
}

/** The paths of addresses that differ in their hosts. */
export const pathsOf = (addresses: { readonly [name: string]: string | undefined } = {}) =>
  Object.fromEntries(Object.entries(addresses).map(([name, address]) => [name, new URL(address ?? "").pathname]))

/** A broker in memory that may refresh as often as it likes. */
export const layer = (provider: Provider, fetch: typeof globalThis.fetch = globalThis.fetch) =>
  BrokerHost.layerMemory([provider]).pipe(
    Layer.provide(BrokerConfig.layer("/nowhere", { refreshCooldown: Duration.zero, refreshRetryDelay: Duration.zero })),
    Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)),
  )

const turns = Effect.callback<void>((resume) => {
  const turn = (left: number) => void setImmediate(() => (left === 0 ? resume(Effect.void) : turn(left - 1)))
  turn(5)
})

/** Time for an answer in process to arrive, to be read, and to be kept; what is hashed before this has been hashed then. */
const settle = turns.pipe(
  Effect.andThen(Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array()))),
  Effect.andThen(turns),
)

/** Lets so many seconds pass, one by one. */
export const pass = (seconds: number) =>
  Effect.andThen(settle, Effect.andThen(TestClock.adjust("1 second"), settle)).pipe(
    Effect.repeat({ times: seconds - 1 }),
  )

/** Lets time pass until something has come to its end, however long what takes real time takes on a busy machine. */
export const passUntil = (isOver: () => boolean) =>
  Effect.andThen(TestClock.adjust("500 millis"), settle).pipe(Effect.repeat({ until: isOver }))

/** A `fetch` that notes in which second it was called for a path. */
export const noting = (fetch: typeof globalThis.fetch, path: string) =>
  Effect.map(Clock.clockWith(Effect.succeed), (clock) => {
    const seconds: Array<number> = []
    const noted: typeof globalThis.fetch = (input, init) => {
      if (String(input instanceof Request ? input.url : input).endsWith(path)) {
        seconds.push(clock.currentTimeMillisUnsafe() / 1000)
      }
      return fetch(input, init)
    }
    return { fetch: noted, seconds }
  })

/** Begins a login by device code, has a person decide, and says how it went. */
export const byDevice = Effect.fnUntraced(function* (
  account: AccountKey,
  decide: (userCode: string) => void,
  seconds = 6,
) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "device_code" })
  decide(Option.getOrThrow(login.device).userCode)
  yield* pass(seconds)
  return yield* broker.poll(login.sessionId)
})

/** Why a refresh failed for good; trouble is tried again after 1 and 3 seconds. */
export const refusedRefresh = Effect.fnUntraced(function* (account: AccountKey) {
  const broker = yield* Broker
  const fiber = yield* Effect.forkChild(Effect.flip(broker.refreshToken(account)))
  for (let seconds = 0; seconds < 30 && fiber.pollUnsafe() === undefined; seconds++) yield* pass(1)
  return yield* Fiber.join(fiber)
})
