import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import * as Browser from "../../../src/cli/login/Browser.ts"

const address = "https://id.example/?a=b&c=$(id);x%20y"

const open = Effect.fnUntraced(function* (url: string, value: string, works: (program: string) => boolean) {
  const done: Array<ReadonlyArray<string>> = []
  const isOpened = yield* Browser.open(url).pipe(
    Effect.provideService(Browser.Launcher, {
      openDefault: (address) => Effect.sync(() => done.push(["default", address]) > 0),
      start: (program, args) =>
        Effect.sync(() => {
          done.push([program, ...args])
          return works(program)
        }),
    }),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: value === "" ? {} : { BROWSER: value } }))),
  )
  return { done, isOpened }
})

describe("BROWSER", () => {
  it("is programs with their arguments, and with a place for the address", () => {
    for (const [value, commands] of [
      ["firefox", [["firefox", address]]],
      ["  firefox   --new-tab ", [["firefox", "--new-tab", address]]],
      ["firefox --url=%s --x", [["firefox", `--url=${address}`, "--x"]]],
      ["echo %%s 100%%", [["echo", "%s", "100%", address]]],
      ["echo %s %s", [["echo", address, address]]],
      [
        "a::b x",
        [
          ["a", address],
          ["b", "x", address],
        ],
      ],
      ["sh -c 'open %s'; x", [["sh", "-c", "'open", `${address}';`, "x"]]],
      [" : ", []],
    ] as const) {
      assert.deepStrictEqual(Browser.commandsIn(value, address), commands, value)
    }
    assert.deepStrictEqual(Browser.commandsIn("C:\\b.exe;c", address, "win32"), [
      ["C:\\b.exe", address],
      ["c", address],
    ])
  })

  it.effect("is tried in turn until one goes well", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* open(address, "a:b:c", (program) => program === "b"), {
        done: [
          ["a", address],
          ["b", address],
        ],
        isOpened: true,
      })
      const none = yield* open(address, "a:b", () => false)
      assert.deepStrictEqual([none.isOpened, none.done.length], [false, 2])
      assert.deepStrictEqual((yield* open(address, "", () => false)).done, [["default", address]])
    }),
  )

  it.effect("never gets what a browser would run, or what is not an address", () =>
    Effect.gen(function* () {
      for (const url of [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "--help",
        "",
        "http://evil.example",
        "https://a@b.example",
      ]) {
        assert.deepStrictEqual(yield* open(url, "a", () => true), { done: [], isOpened: false })
      }
    }),
  )

  it.live("starts a program that goes on without us, and hears of one that fails", () =>
    Effect.gen(function* () {
      const { start } = yield* Browser.Launcher
      assert.isTrue(yield* start("/bin/sh", ["-c", "exit 0"]))
      assert.isFalse(yield* start("/bin/sh", ["-c", "exit 3"]))
      assert.isFalse(yield* start("/nowhere/browser", []))
      assert.isFalse(yield* start("a\0b", []))
    }),
  )
})
