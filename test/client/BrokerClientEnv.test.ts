/**
 * Where a program in a sandbox learns which host to ask, and what to show it.
 */
import { closeSync, openSync, readSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Redacted } from "effect"
import * as BrokerClientEnv from "../../src/client/BrokerClientEnv.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const hostIn = (environment: { readonly [name: string]: string }) =>
  BrokerClientEnv.host.pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  )

const shown = (environment: { readonly [name: string]: string }) =>
  Effect.map(hostIn({ TOKENKEEP_SOCKET: "/s", ...environment }), (host) =>
    Option.getOrUndefined(Option.flatMapNullishOr(host, ({ capability }) => capability && Redacted.value(capability))),
  )

/** The number of a descriptor with this behind it. */
const behind = (content: string) =>
  Effect.gen(function* () {
    const path = `${yield* TemporaryHome.make}/file`
    writeFileSync(path, content)
    return yield* Effect.acquireRelease(
      Effect.sync(() => openSync(path, "r")),
      (descriptor) => Effect.sync(() => closeSync(descriptor)),
    )
  })

describe("the environment of a sandbox", () => {
  it.effect("names a host, or none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* hostIn({ TOKENKEEP_CAPABILITY: "x" }), Option.none())
      assert.deepStrictEqual(yield* hostIn({ TOKENKEEP_SOCKET: "/s" }), Option.some({ path: "/s" }))
      assert.strictEqual(yield* shown({ TOKENKEEP_CAPABILITY: "in-clear" }), "in-clear")
    }),
  )

  it.live("says behind which descriptor the capability is, for everybody to read from its beginning", () =>
    Effect.gen(function* () {
      const descriptor = yield* behind("behind-it\n")
      const environment = { TOKENKEEP_CAPABILITY_FD: String(descriptor), TOKENKEEP_CAPABILITY: "in-clear" }
      assert.strictEqual(yield* shown(environment), "behind-it")
      readSync(descriptor, Buffer.alloc(5))
      assert.strictEqual(yield* shown(environment), "behind-it")
    }),
  )

  it.live("is refused if nothing that could be a capability is behind the descriptor", () =>
    Effect.gen(function* () {
      const contents = ["", "two lines\nof a private key", "x".repeat(513)]
      const numbers = ["1e9", "three", "-1", "65535"]
      for (const content of contents) numbers.push(String(yield* behind(content)))
      for (const number of numbers) {
        const error = yield* Effect.flip(shown({ TOKENKEEP_CAPABILITY_FD: number, TOKENKEEP_CAPABILITY: "in-clear" }))
        assert.include(error.message, "TOKENKEEP_CAPABILITY_FD")
        assert.notInclude(error.message, "private key")
      }
    }),
  )
})
