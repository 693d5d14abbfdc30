/**
 * The places that are known quickly are those of the whole program, on every system.
 */
import { readFileSync } from "node:fs"
import { posix, win32 } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { UserDirectories } from "effect/persistence"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { isPlain, placesIn } from "../../src/quick/Places.ts"

const environments = {
  linux: [{ HOME: "/home/ada" }, { HOME: "/home/ada", XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s" }],
  darwin: [{ HOME: "/Users/ada" }, { HOME: "/Users/ada", XDG_DATA_HOME: "/d" }],
  win32: [{ APPDATA: "C:\\a\\Roaming", LOCALAPPDATA: "C:\\a\\Local" }],
} as const

describe("the places that are known quickly", () => {
  for (const platform of ["linux", "darwin", "win32"] as const) {
    it.effect(`are those of the whole program on ${platform}`, () =>
      Effect.gen(function* () {
        const { join } = platform === "win32" ? win32 : posix
        const directories = UserDirectories.make({ platform })
        for (const env of environments[platform]) {
          const expected = yield* Effect.all({
            configFile: Effect.map(directories.config("tokenkeep"), (folder) => join(folder, "config.json")),
            accountsDirectory: Effect.map(directories.data("tokenkeep"), (folder) => join(folder, "accounts")),
            eventsDirectory: Effect.map(directories.state("tokenkeep"), (folder) => join(folder, "events")),
          }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { ...env } })))
          assert.deepStrictEqual(placesIn(env, platform), expected)
        }
        assert.isUndefined(placesIn({}, platform))
      }),
    )
  }

  it("are not known where a variable may say more", () => {
    const source = readFileSync(new URL("../../src/broker/BrokerConfigEnv.ts", import.meta.url), "utf8")
    const names = [...source.matchAll(/Config\.\w+\((?:Seconds, )?"(\w+)"\)/g)].map(([, name = ""]) => name)
    // Where the socket is does not matter here, and of a home the places are those below.
    const others = names.filter((name) => name !== "TOKENKEEP_HOME" && name !== "XDG_RUNTIME_DIR")
    assert.isAbove(others.length, 0)
    assert.deepStrictEqual(
      others.filter((name) => isPlain({ [name]: "60" })),
      [],
    )
  })

  it("are those of a home that is named", () => {
    const { accountsDirectory, configFile, eventsDirectory } = BrokerConfig.defaults("/keep")
    const known = placesIn({ TOKENKEEP_HOME: "/keep" }, "linux")
    assert.deepStrictEqual(known, { accountsDirectory, configFile, eventsDirectory })
    assert.isUndefined(placesIn({ TOKENKEEP_HOME: "keep" }, "linux"))
  })
})
