/**
 * A process that takes an account's lock, says so, and keeps it until it is killed. `lock-holder.ts ACCOUNT PURPOSE`.
 */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { Digest } from "effect/crypto"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import * as AccountLockFile from "../../src/broker/AccountLockFile.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { AccountKeyFromString } from "../../src/domain/AccountKey.ts"

const [, , name = "", purpose = ""] = process.argv

const layer = AccountLockFile.layer.pipe(
  Layer.provide(BrokerConfig.layer(process.env["TOKENKEEP_HOME"] ?? "")),
  Layer.provide([NodeServices.layer, Digest.layerWebCrypto]),
)

// A fiber that waits for nothing but itself does not keep the process alive.
setInterval(() => {}, 60_000)

Effect.gen(function* () {
  const account = yield* Schema.decodeEffect(AccountKeyFromString)(name)
  const lock = yield* AccountLock
  const work = Effect.andThen(Console.log("held"), Effect.never)
  return yield* lock.withLock(account, purpose === "record" ? "record" : "refresh")(work)
}).pipe(Effect.provide(layer), Effect.runPromise)
