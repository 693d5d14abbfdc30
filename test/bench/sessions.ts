/**
 * A sweep among a million live sessions, against the floor: looking at each of a million entries of a `Map`.
 */
import { Console, Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type { LoginInProgress } from "../../src/broker/LoginInProgress.ts"
import { Sessions } from "../../src/broker/Sessions.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { inProcess } from "../../src/domain/Peer.ts"
import { GrantDenied } from "../../src/oauth/GrantFailure.ts"
import { median, milliseconds } from "./measure.ts"

const million = 1_000_000
const layer = Sessions.layer.pipe(
  Layer.provide(BrokerConfig.layer("/nowhere", { sessionLifetime: Duration.hours(1), sessionsPerPeer: Infinity })),
  Layer.provide(SecureRandom.layerWebCrypto),
)

export const sessions = () =>
  Effect.gen(function* () {
    const service = yield* Sessions
    const login: LoginInProgress = {
      _tag: "pkce_redirect",
      ended: () => Effect.void,
      granter: { server: "https://id.example", clientId: "c" },
      redeem: () => Effect.fail(new GrantDenied()),
    }
    const begin = Effect.succeed({ login })
    const owner = { account: Account.make("github"), peer: inProcess }
    const before = process.memoryUsage().heapUsed
    const begun = performance.now()
    for (let i = 0; i < million; i++) yield* service.create(owner, begin)
    yield* Console.log(`  create, each                 ${milliseconds((performance.now() - begun) / million)}`)
    yield* Console.log(
      `  heap, each                   ${Math.round((process.memoryUsage().heapUsed - before) / million)} bytes`,
    )

    const run = Effect.runPromiseWith(yield* Effect.context<never>())
    const sweep = yield* Effect.promise(() => median(21, () => run(Effect.asVoid(service.sweep))))
    const expired = Effect.gen(function* () {
      for (let i = 0; i < 1000; i++) {
        const { session } = yield* service.create(owner, begin)
        yield* service.take(session.id, inProcess)
      }
    })
    const sweepThousand = yield* Effect.promise(async () => {
      const times: Array<number> = []
      for (let i = 0; i < 11; i++) {
        await run(expired)
        const at = performance.now()
        await run(service.sweep)
        times.push(performance.now() - at)
      }
      return times.toSorted((a, b) => a - b)[5] ?? 0
    })
    const map = new Map(Array.from({ length: million }, (_, i) => [String(i), { expiresAt: i }]))
    let found = 0
    const floor = yield* Effect.promise(() =>
      median(21, () => {
        for (const entry of map.values()) if (entry.expiresAt < 0) found++
      }),
    )
    yield* Console.log(`  sweep, nothing to do         ${milliseconds(sweep)}`)
    yield* Console.log(`  sweep, 1,000 to remove       ${milliseconds(sweepThousand)}`)
    yield* Console.log(`  floor: look at each of them  ${milliseconds(floor)} (found ${found})`)
    yield* Console.log(`  ratio, nothing to do : floor ${(sweep / floor).toFixed(4)}`)
  }).pipe(Effect.provide(layer), Effect.runPromise)
