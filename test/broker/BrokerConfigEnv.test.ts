import type * as Os from "node:os"
import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"
import { vi } from "vitest"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerConfigEnv from "../../src/broker/BrokerConfigEnv.ts"
import { Machine } from "../../src/import/Machine.ts"

const settings = (environment: { readonly [name: string]: string }) =>
  BrokerConfig.pipe(
    Effect.provide(
      Layer.fresh(BrokerConfigEnv.layer).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))),
      ),
    ),
  )

// A user without a name, as containers often have.
vi.mock("node:os", async (original) => ({
  ...(await original<typeof Os>()),
  userInfo: () => {
    throw new Error("uv_os_get_passwd returned ENOENT")
  },
}))

it.effect("is of a user without a name, as containers often have one", () =>
  Effect.gen(function* () {
    const { uid } = yield* Effect.provide(Machine, Machine.layer)
    assert.strictEqual(uid, process.getuid?.() ?? -1)
  }),
)

describe("the environment", () => {
  it.effect("need not say where a socket goes, nor the user be known by a name", () =>
    Effect.gen(function* () {
      const { socketPath } = yield* settings({ HOME: "/home/me" })
      assert.strictEqual(socketPath, `${tmpdir()}/tokenkeep-${process.getuid?.() ?? -1}/host.sock`)
    }),
  )

  it.effect("can put everything under one folder", () =>
    Effect.gen(function* () {
      const { accountsDirectory, auditDirectory, configFile, keysDirectory, socketPath, usageFile } = yield* settings({
        TOKENKEEP_HOME: "/keep",
        HOME: "/home/me",
      })
      assert.deepStrictEqual(
        [accountsDirectory, auditDirectory, configFile, keysDirectory, socketPath, usageFile],
        ["/keep/accounts", "/keep/audit", "/keep/config.json", "/keep/keys", "/keep/host.sock", "/keep/usage.json"],
      )
    }),
  )

  it.effect("says where the user's own folders are", () =>
    Effect.gen(function* () {
      const found = yield* settings({
        HOME: "/home/me",
        XDG_CONFIG_HOME: "/xdg/config",
        XDG_DATA_HOME: "/xdg/data",
        XDG_STATE_HOME: "/xdg/state",
        XDG_RUNTIME_DIR: "/run/user/1000",
      })
      assert.strictEqual(found.configFile, "/xdg/config/tokenkeep/config.json")
      assert.strictEqual(found.accountsDirectory, "/xdg/data/tokenkeep/accounts")
      assert.strictEqual(found.keysDirectory, "/xdg/data/tokenkeep/keys")
      assert.strictEqual(found.usageFile, "/xdg/state/tokenkeep/usage.json")
      assert.strictEqual(found.auditDirectory, "/xdg/state/tokenkeep/audit")
      assert.strictEqual(found.socketPath, "/run/user/1000/tokenkeep/host.sock")
      const { socketPath } = yield* settings({ HOME: "/home/me" })
      assert.match(socketPath, /\/tokenkeep-\d+\/host\.sock$/)
    }),
  )

  it.effect("sets the life of a session, by its newer name before its older one", () =>
    Effect.gen(function* () {
      const lifetime = (environment: { readonly [name: string]: string }) =>
        Effect.map(settings({ TOKENKEEP_HOME: "/keep", HOME: "/", ...environment }), ({ sessionLifetime }) =>
          Duration.toSeconds(sessionLifetime),
        )
      assert.strictEqual(yield* lifetime({}), 600)
      assert.strictEqual(yield* lifetime({ TOKENKEEP_SESSION_TIMEOUT_SECONDS: "90" }), 90)
      assert.strictEqual(yield* lifetime({ LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS: "45" }), 45)
      const both = { TOKENKEEP_SESSION_TIMEOUT_SECONDS: "90", LLXPRT_OAUTH_SESSION_TIMEOUT_SECONDS: "45" }
      assert.strictEqual(yield* lifetime(both), 90)
    }),
  )

  it.effect("is refused where it makes no sense, and not taken for unset", () =>
    Effect.gen(function* () {
      for (const seconds of ["soon", "0", "-5", "Infinity"]) {
        const environment = { TOKENKEEP_HOME: "/keep", HOME: "/", TOKENKEEP_SESSION_TIMEOUT_SECONDS: seconds }
        const error = yield* Effect.flip(settings(environment))
        assert.strictEqual(error._tag, "ConfigError", seconds)
      }
    }),
  )
})
