/**
 * The hosts in the configuration file: bound and unbound beside whatever else is in it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as HostsFile from "../../src/broker/HostsFile.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const inHome = <A, E>(
  use: (path: string) => Effect.Effect<A, E, BrokerConfig | Effect.Services<typeof HostsFile.read>>,
) =>
  Effect.flatMap(TemporaryHome.make, (home) =>
    use(`${home}/config.json`).pipe(
      Effect.provide([BrokerConfig.layer(home), SecureRandom.layerWebCrypto, NodeServices.layer]),
    ),
  )

describe("the hosts in the configuration", () => {
  it.effect("are bound and unbound, and leave everything else as it is", () =>
    inHome((path) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* HostsFile.read).hosts, {})
        const rest = { providers: [{ name: "demo", x: 1 }, "a-plugin"], onEvent: ["true"] }
        writeFileSync(path, JSON.stringify({ ...rest, hosts: { "*.example": "demo" } }))
        yield* HostsFile.set("git.example", "demo:work")
        yield* HostsFile.set("hub.example", { account: "demo", username: "me" })
        const { hosts, mistakes } = yield* HostsFile.read
        assert.deepStrictEqual(hosts, {
          "git.example": "demo:work",
          "hub.example": { account: "demo", username: "me" },
        })
        assert.deepStrictEqual(mistakes, ["*.example"])
        for (const host of ["git.example", "hub.example", "not.there"]) yield* HostsFile.set(host)
        assert.deepStrictEqual(JSON.parse(readFileSync(path, "utf8")), { ...rest, hosts: { "*.example": "demo" } })
        yield* HostsFile.set("*.example")
        assert.deepStrictEqual(JSON.parse(readFileSync(path, "utf8")), rest)
      }),
    ),
  )

  it.effect("are not written into a configuration that cannot be read", () =>
    inHome((path) =>
      Effect.gen(function* () {
        writeFileSync(path, "{")
        assert.strictEqual((yield* Effect.flip(HostsFile.set("git.example", "demo")))._tag, "ConfigCorrupt")
        assert.strictEqual(readFileSync(path, "utf8"), "{")
      }),
    ),
  )
})
