/**
 * A home where somebody is logged in already.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountRecord } from "../../src/domain/AccountRecord.ts"

/** Puts records in the store of a home, by the names of their providers. */
export const loggedIn = (home: string, records: { readonly [provider: string]: AccountRecord }) =>
  Effect.flatMap(TokenStore, (store) =>
    Effect.forEach(Object.entries(records), ([provider, record]) => store.set(Account.make(provider), record), {
      discard: true,
    }),
  ).pipe(
    Effect.provide(
      TokenStoreFile.layer.pipe(
        Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
        Layer.provide(BrokerConfig.layer(home)),
        Layer.provide(NodeServices.layer),
      ),
    ),
  )
