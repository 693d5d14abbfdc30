import { NodeServices } from "@effect/platform-node"
import { describe, it } from "@effect/vitest"
import { Array as Arr, Duration, Effect, Layer } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import * as fc from "fast-check"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import * as AccountLockFile from "../../src/broker/AccountLockFile.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Interleaving from "../support/Interleaving.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

/** The clock leaps while others are at work, so nobody may lose patience. */
const patient = { lockPatience: Duration.days(1) }

const inMemory = Layer.mergeAll(TokenStore.layerMemory, AccountLock.layerMemory).pipe(
  Layer.provideMerge(BrokerConfig.layer("/nowhere", patient)),
)

const inFiles = Layer.mergeAll(TokenStoreFile.layer, AccountLockFile.layer).pipe(
  Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  Layer.provideMerge(TemporaryHome.layerConfig(patient)),
  Layer.provide(NodeServices.layer),
)

describe("whatever two processes do to an account at the same time", () => {
  for (const [where, places, count] of [
    ["in memory", inMemory, 10_000],
    ["in files", inFiles, 200],
  ] as const) {
    it.effect(
      `${where}, no login comes back, none is replaced by an older one's refresh, and no refresh token is used twice`,
      () =>
        Effect.gen(function* () {
          const play = yield* Interleaving.makePlayer(places)
          yield* Effect.forEach(Arr.chunksOf(fc.sample(Interleaving.plan, count), 100), play)
        }).pipe(Effect.withTracerEnabled(false)),
      120_000,
    )
  }
})
