/**
 * `tokenkeep login` in this process: what it asks of a host, and what a person sees of that.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import stringWidth from "string-width"
import { Broker, type InitiatedLogin, type LoginProgress } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Launcher } from "../../src/cli/login/Browser.ts"
import { Clipboard } from "../../src/cli/login/Clipboard.ts"
import { Platform } from "../../src/cli/login/Desktop.ts"
import { login } from "../../src/cli/Login.ts"
import { english, Words } from "../../src/cli/login/LoginWords.ts"
import { ProgramName } from "../../src/cli/ProgramName.ts"
import { FlowInitiationFailed, InvalidRequest } from "../../src/domain/Errors.ts"
import type { FlowType } from "../../src/domain/Session.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as AtTerminal from "../support/AtTerminal.ts"
import { settle } from "../support/Refreshing.ts"

const redirect = "http%3A%2F%2F127.0.0.1%3A49999%2Fcallback"
const authUrl = `https://id.example/authorize?redirect_uri=${redirect}&state=st4te`

const begun: { readonly [flow in FlowType]: Pick<InitiatedLogin, "authUrl" | "device"> } = {
  browser_redirect: { authUrl, device: Option.none() },
  pkce_redirect: { authUrl: "https://id.example/authorize?state=st4te", device: Option.none() },
  device_code: {
    authUrl: "https://id.example/device?user_code=WDJB-MJHT",
    device: Option.some({
      userCode: "WDJB-MJHT",
      verificationUri: "https://id.example/device",
      verificationUriComplete: Option.some("https://id.example/device?user_code=WDJB-MJHT"),
    }),
  },
}

interface Host {
  readonly flows?: ReadonlyArray<FlowType>
  readonly providers?: ReadonlyArray<string>
  /** How often it still waits. */
  readonly pending?: number
  readonly changes?: Partial<InitiatedLogin>
  /** Why no login can be begun, if none can. */
  readonly failure?: FlowInitiationFailed
}

/** A host whose provider has these flows, and what it was asked. */
const hostWith = ({ changes = {}, failure, flows = ["device_code"], pending = 0, providers = ["demo"] }: Host = {}) => {
  const asked: Array<string> = []
  let polls = 0
  const token = DateTime.now.pipe(
    Effect.map((now) => ({
      accessToken: Redacted.make("an access token"),
      tokenType: "Bearer",
      expiresAt: DateTime.addDuration(now, "1 hour"),
      scopes: Option.none(),
      extras: {},
    })),
  )
  const layer = Layer.mock(Broker, {
    listProviders: Effect.succeed(providers),
    initiate: (account, { flow } = {}) =>
      Effect.gen(function* () {
        asked.push(`${account.toString()} ${flow ?? "any"}`)
        if (failure !== undefined) return yield* failure
        const [first = "device_code"] = flows
        if (flow !== undefined && !flows.includes(flow)) return yield* InvalidRequest.make({ detail: "Not offered." })
        const flowType = flow ?? first
        return {
          sessionId: "a session",
          flowType,
          ...begun[flowType],
          pollInterval: Duration.seconds(1),
          notice: Option.none(),
          expiresIn: Duration.minutes(10),
          ...changes,
        }
      }),
    poll: () =>
      Effect.suspend((): Effect.Effect<LoginProgress> =>
        polls++ < pending
          ? Effect.succeed({ status: "pending", interval: Duration.seconds(1) } as const)
          : Effect.map(token, (token) => ({ status: "complete", token })),
      ),
    exchange: (_, code) => {
      asked.push(`exchange ${Redacted.value(code)}`)
      return token
    },
    cancel: (id) => {
      asked.push(`cancel ${id}`)
      return Effect.void
    },
  })
  return { asked, layer }
}

/** A machine on which nothing is opened or copied but into this list. */
const machine = (opens = true) => {
  const done: Array<string> = []
  const note = (what: string) =>
    Effect.sync(() => {
      done.push(what)
      return opens
    })
  const layer = Layer.mergeAll(
    Layer.succeed(Platform, "linux"),
    Layer.succeed(Clipboard, (text: string) => note(`copied ${text}`)),
    Layer.succeed(Launcher, {
      openDefault: (address: string) => note(`opened ${address}`),
      start: (program: string, args: ReadonlyArray<string>) => note([program, ...args].join(" ")),
    }),
  )
  return { done, layer }
}

const setUp = (host: Host, place: AtTerminal.Place, opens = true) => {
  const { asked, layer } = hostWith(host)
  const { done, layer: here } = machine(opens)
  const terminal = AtTerminal.make({ ...place, environment: { LANG: "C.UTF-8", ...place.environment } })
  const run = (...args: ReadonlyArray<string>) =>
    terminal.run(login, ["login", ...args]).pipe(Effect.provide([layer, here]))
  return { asked, done, ...terminal, run }
}

/** With a sign in the place of what begins an escape sequence. */
const visible = (text: string) => text.replaceAll("\u001b", "␛")

/** Whatever a terminal obeys, but for what we ourselves say to it. */
const rawIn = (text: string) =>
  visible(text)
    .replace(/␛\[(\d+A|J|[\d;]*m)/g, "")
    .replace(/[\r\n]/g, "")
    .match(/[␛\p{Cc}\p{Cf}]/gu)

describe("the flow of tokenkeep login", () => {
  const desktop = { DISPLAY: ":0" }
  const all = ["device_code", "browser_redirect", "pkce_redirect"] as const
  const cases: ReadonlyArray<
    readonly [
      what: string,
      environment: { readonly [name: string]: string },
      flows: ReadonlyArray<FlowType>,
      asked: string,
    ]
  > = [
    ["a browser on a desktop", desktop, all, "browser_redirect"],
    ["a browser with Wayland", { WAYLAND_DISPLAY: "wayland-0" }, all, "browser_redirect"],
    ["a browser on Windows, seen from its Linux", { WSL_DISTRO_NAME: "Debian" }, all, "browser_redirect"],
    ["a browser, where BROWSER says that there is one", { BROWSER: "lynx" }, all, "browser_redirect"],
    ["a code over SSH", { ...desktop, SSH_CONNECTION: "a b" }, all, "device_code"],
    ["a code on a terminal over SSH", { BROWSER: "lynx", SSH_TTY: "/dev/pts/1" }, all, "device_code"],
    ["a code without a display", {}, all, "device_code"],
    ["a code in a container", { ...desktop, container: "podman" }, all, "device_code"],
    ["a paste, where there is neither", {}, ["browser_redirect", "pkce_redirect"], "device_code pkce_redirect"],
    ["what there is", {}, ["browser_redirect"], "device_code pkce_redirect any"],
    ["what the host prefers, on a desktop without a browser flow", desktop, ["device_code"], "browser_redirect any"],
    ["a code, where nobody may be asked", { ...desktop, CI: "1" }, all, "device_code"],
  ]
  for (const [what, environment, flows, expected] of cases) {
    it.effect(`is ${what}`, () =>
      Effect.gen(function* () {
        const { asked, run } = setUp({ flows }, { environment, isTerminal: false, stdin: "pasted\n" })
        yield* run("demo")
        const wishes = expected.split(" ").map((flow) => `demo ${flow}`)
        assert.deepStrictEqual(
          asked.filter((what) => !what.startsWith("exchange")),
          wishes,
        )
      }),
    )
  }

  it.effect("is a code in a container that says so by a file", () =>
    Effect.gen(function* () {
      for (const [files, flow] of [
        [["/.dockerenv"], "device_code"],
        [["/run/.containerenv"], "device_code"],
        [["/etc/passwd"], "browser_redirect"],
      ] as const) {
        const { asked, run } = setUp({ flows: all }, { environment: desktop, files, isTerminal: false })
        yield* run("demo")
        assert.deepStrictEqual(asked, [`demo ${flow}`])
      }
    }),
  )

  it.effect("is never one in which somebody must paste, where nobody may be asked", () =>
    Effect.gen(function* () {
      const { asked, run } = setUp({ flows: ["pkce_redirect"] }, { environment: desktop })
      for (const args of [
        ["demo", "--no-input"],
        ["demo", "--flow", "paste", "--no-input"],
      ]) {
        const failure = yield* Effect.flip(run(...args))
        assert.strictEqual(failure._tag, "UsageError")
        assert.include(String(failure), "--no-input")
      }
      assert.deepStrictEqual(asked, ["demo device_code", "demo browser_redirect"])
    }),
  )

  it.effect("is no other, while the provider is down", () =>
    Effect.gen(function* () {
      for (const [remedy, flows] of [
        ["wait", ["device_code"]],
        ["change", ["device_code", "pkce_redirect", "any"]],
      ] as const) {
        const failure = FlowInitiationFailed.make({ detail: "Not now.", remedy })
        const { asked, run } = setUp({ failure }, { isTerminal: false })
        assert.strictEqual((yield* Effect.flip(run("demo")))._tag, "FlowInitiationFailed")
        assert.deepStrictEqual(
          asked,
          flows.map((flow) => `demo ${flow}`),
        )
      }
    }),
  )

  it.effect("is the one that is named", () =>
    Effect.gen(function* () {
      const { asked, run } = setUp({ flows: all }, { environment: desktop, isTerminal: false, stdin: "pasted\n" })
      yield* run("demo", "--flow", "paste", "--no-browser")
      yield* run("demo", "--flow", "device")
      assert.deepStrictEqual(asked, ["demo pkce_redirect", "exchange pasted", "demo device_code"])
    }),
  )
})

describe("the browser", () => {
  const flows = ["browser_redirect"] as const
  const cases: ReadonlyArray<
    readonly [what: string, environment: { readonly [name: string]: string }, args: string, done: string]
  > = [
    ["is that of the desktop", { DISPLAY: ":0" }, "", `opened ${authUrl}`],
    [
      "is that of BROWSER, before any other",
      { DISPLAY: ":0", BROWSER: "firefox --new-tab" },
      "",
      `firefox --new-tab ${authUrl}`,
    ],
    [
      "is that of BROWSER, though the desktop is elsewhere",
      { SSH_TTY: "x", BROWSER: "open-there" },
      "",
      `open-there ${authUrl}`,
    ],
    ["is not opened where there is none", {}, "", ""],
    ["is not opened with --no-browser", { DISPLAY: ":0", BROWSER: "firefox" }, "--no-browser", ""],
    ["is not opened with --no-input", { DISPLAY: ":0", BROWSER: "firefox" }, "--no-input", ""],
    ["is not opened in CI", { DISPLAY: ":0", CI: "true" }, "", ""],
  ]
  for (const [what, environment, args, expected] of cases) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const { done, run } = setUp({ flows }, { environment })
        yield* run("demo", "--flow", "browser", ...args.split(" ").filter((flag) => flag !== ""))
        assert.strictEqual(done.join("\n"), expected)
      }),
    )
  }

  it.effect("that cannot be opened is spoken of", () =>
    Effect.gen(function* () {
      for (const isTerminal of [true, false]) {
        const { run, said } = setUp({ flows }, { isTerminal, environment: { DISPLAY: ":0", NO_COLOR: "1" } }, false)
        yield* run("demo")
        assert.include(said.stderr, "No browser could be opened")
        assert.include(said.stderr, `\n${authUrl}\n`)
      }
    }),
  )
})

describe("where to log in", () => {
  const providers = ["one", "two", "three"]

  it.effect("is no question where there is one provider, and must be said where nobody can be asked", () =>
    Effect.gen(function* () {
      const single = setUp({}, { isTerminal: false })
      yield* single.run()
      assert.deepStrictEqual(single.asked, ["demo device_code"])
      for (const [place, args] of [
        [{ isTerminal: false }, []],
        [{}, ["--no-input"]],
        [{ environment: { CI: "1" } }, []],
        [{ environment: { TERM: "dumb" } }, []],
        [{}, ["--json"]],
      ] as const) {
        const { asked, run } = setUp({ providers }, place)
        const failure = yield* Effect.flip(run(...args))
        assert.strictEqual(failure._tag, "UsageError")
        assert.match(String(failure), /Name one of: one, three, two/)
        assert.deepStrictEqual(asked, [])
      }
    }),
  )

  it.effect("is picked from a list", () =>
    Effect.gen(function* () {
      const { asked, press, run, said } = setUp({ providers: [...providers, "e\u001b[2Jvil"] }, {})
      const running = yield* Effect.forkChild(run())
      yield* settle
      yield* press("down")
      yield* press("return")
      yield* Fiber.join(running)
      assert.deepStrictEqual(asked, ["one device_code"])
      assert.include(said.stderr, "Where do you want to log in?")
      assert.notInclude(said.stderr, "\u001b[2Jvil")
      assert.strictEqual(said.stdout, "")
    }),
  )

  it.effect("is picked from a list, or not at all", () =>
    Effect.gen(function* () {
      const { asked, press, run, said } = setUp({ providers }, {})
      const running = yield* Effect.forkChild(run())
      yield* settle
      yield* press("c", true)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(running)))
      assert.include(said.stderr, "No login was begun.")
      assert.deepStrictEqual(asked, [])
    }),
  )

  it.effect("at a provider that is not known says which there are, and which may have been meant", () =>
    Effect.gen(function* () {
      const { run } = AtTerminal.make({ isTerminal: false })
      const said = (name: string) => Effect.map(Effect.flip(run(login, ["login", name])), String)
      assert.match(
        yield* said("antropic:work"),
        /provider list --all\. If you meant anthropic, .*tokenkeep login anthropic:work$/,
      )
      assert.match(yield* said("nobody"), /provider list --all$/)
      const mounted = Effect.provideService(said("antropic"), ProgramName, "acme auth")
      assert.match(yield* mounted, /acme auth login anthropic$/)
    }).pipe(
      Effect.provide(
        BrokerHost.layerMemory([]).pipe(
          Layer.provide(BrokerConfig.layer("/nowhere")),
          Layer.provideMerge(NodeServices.layer),
        ),
      ),
    ),
  )
})

describe("what a person sees of a login", () => {
  it.effect("is the code, a QR code where there is room, and how long there still is", () =>
    Effect.gen(function* () {
      const { run, said, until } = setUp({ pending: 3 }, { columns: 80, rows: 24, environment: { NO_COLOR: "1" } })
      const running = yield* Effect.forkChild(run("demo"))
      yield* until("10:00 left")
      yield* TestClock.adjust("1 second")
      assert.include(visible(said.stderr), "\r␛[J  Waiting for you to enter it · 9:59 left")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(running)
      assert.include(said.stderr, "│   WDJB-MJHT   │")
      assert.include(said.stderr, "https://id.example/device")
      assert.match(said.stderr, /[▀▄█]{8}/)
      // The line is gone, and what came of it takes its place.
      assert.match(visible(said.stderr), /\r␛\[J {2}✓ Logged in as demo\. The access token is valid for 60 min\.\n$/)
      assert.strictEqual(said.stdout, "")
    }),
  )

  it.effect("is no QR code, where it would drive the rest off the screen", () =>
    Effect.gen(function* () {
      for (const [columns, rows] of [
        [80, 20],
        [60, 28],
        [30, 60],
      ] as const) {
        const { run, said } = setUp({}, { columns, rows })
        yield* run("demo")
        assert.include(said.stderr, "WDJB-MJHT")
        assert.notMatch(said.stderr, /[▀▄█]{3}/)
      }
      const below = setUp({}, { columns: 60, rows: 60 })
      yield* below.run("demo")
      assert.match(below.said.stderr, /[▀▄█]{3}/)
    }),
  )

  for (const columns of [60, 80, 200]) {
    for (const environment of [{}, { LANG: "C" }, { NO_COLOR: "1" }, { TERM: "dumb" }]) {
      it.effect(`fits in ${columns} columns, with ${JSON.stringify(environment)}`, () =>
        Effect.gen(function* () {
          for (const flow of ["device", "browser", "paste"]) {
            const { paste, press, run, said, until } = setUp(
              { flows: ["device_code", "browser_redirect", "pkce_redirect"], pending: 1 },
              { columns, rows: 60, environment, stdin: "pasted\n" },
            )
            const running = yield* Effect.forkChild(run("demo", "--flow", flow))
            yield* until(" left")
            yield* paste("pasted")
            yield* press("return")
            yield* TestClock.adjust("1 second")
            yield* Fiber.join(running)
            const hasStyles = /␛\[[\d;]*m/.test(visible(said.stderr))
            assert.strictEqual(hasStyles, !("NO_COLOR" in environment || "TERM" in environment))
            if ("TERM" in environment) assert.notInclude(said.stderr, "\u001b")
            if ("LANG" in environment) assert.match(visible(said.stderr), /^[\r\n␛ -~]*$/)
            const lines = visible(said.stderr)
              .replaceAll(/␛\[(\d+A|J|[\d;]*m)/g, "")
              .split(/[\r\n]/)
            // An address stays in one piece.
            const wrapped = lines.filter((line) => stringWidth(line) >= columns && !/https?:/.test(line))
            assert.deepStrictEqual(wrapped, [])
            assert.isNull(rawIn(said.stderr))
          }
        }),
      )
    }
  }

  it.effect("is cancelled by Ctrl-C, at the host too, whoever reads the keys", () =>
    Effect.gen(function* () {
      const device = setUp({ pending: 100 }, {})
      const waiting = yield* Effect.forkChild(device.run("demo"))
      yield* device.until("left")
      yield* Fiber.interrupt(waiting)
      const browser = setUp({ flows: ["browser_redirect"], pending: 100 }, {})
      const typing = yield* Effect.forkChild(browser.run("demo"))
      yield* browser.until("left")
      yield* browser.press("c", true)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(typing)))
      assert.isFalse(browser.isRead())
      for (const { asked, said } of [device, browser]) {
        assert.strictEqual(asked.at(-1), "cancel a session")
        assert.match(visible(said.stderr), /␛\[J {2}The login was cancelled\.\n$/)
      }
    }),
  )

  it.effect("takes what is pasted, and does not show it", () =>
    Effect.gen(function* () {
      const { asked, paste, press, run, said, until } = setUp({ flows: ["pkce_redirect"] }, {})
      const running = yield* Effect.forkChild(run("demo"))
      yield* until("Paste here")
      yield* press("return")
      yield* paste("oops")
      yield* press("escape")
      yield* paste("hunter22")
      yield* press("backspace")
      assert.include(said.stderr, "7 characters")
      yield* press("return", false, "\r")
      yield* Fiber.join(running)
      assert.deepStrictEqual(asked.slice(-1), ["exchange hunter2"])
      assert.notInclude(said.stderr, "hunter")
      assert.notInclude(said.stderr, "oops")
    }),
  )

  it.effect("is in other words, and by another name, where it is mounted in another program", () =>
    Effect.gen(function* () {
      const { run, said } = setUp({}, { isTerminal: false })
      const words = { ...english, loggedIn: (account: string) => `Hello, ${account}! See tokenkeep status.` }
      yield* run("demo").pipe(Effect.provideService(Words, words), Effect.provideService(ProgramName, "acme auth"))
      assert.include(said.stderr, "Hello, demo! See acme auth status. The access token")
    }),
  )

  it.effect("is copied only if that was asked for", () =>
    Effect.gen(function* () {
      const flows = ["device_code", "browser_redirect"] as const
      const { done, run, said } = setUp({ flows }, {})
      yield* run("demo", "--flow", "device")
      assert.deepStrictEqual(done, [])
      yield* run("demo", "--flow", "device", "--copy")
      yield* run("demo", "--flow", "browser", "--copy")
      assert.deepStrictEqual(done, ["copied WDJB-MJHT", `copied ${authUrl}`])
      assert.include(said.stderr, "The code is on the clipboard.")
      const without = setUp({}, {}, false)
      yield* without.run("demo", "--copy")
      assert.include(without.said.stderr, "Nothing was copied")
    }),
  )
})

describe("what a program is told of a login", () => {
  const lines = (text: string): ReadonlyArray<unknown> =>
    text
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line))

  it.effect("is a line of JSON for what a person has to do, and for what came of it", () =>
    Effect.gen(function* () {
      const { run, said } = setUp(
        { pending: 90, changes: { notice: Option.some("Mind the terms.") } },
        { isTerminal: false },
      )
      const running = yield* Effect.forkChild(run("demo:work", "--json"))
      yield* TestClock.adjust("90 seconds")
      yield* Fiber.join(running)
      const common = { version: 1, account: "demo:work" }
      assert.deepStrictEqual(lines(said.stdout), [
        {
          ...common,
          type: "begun",
          flow: "device",
          auth_url: "https://id.example/device?user_code=WDJB-MJHT",
          user_code: "WDJB-MJHT",
          verification_uri: "https://id.example/device",
          expiresAt: "1970-01-01T00:10:00.000Z",
          expiresAtEpochSeconds: 600,
          notice: "Mind the terms.",
        },
        { ...common, type: "waiting", flow: "device", secondsLeft: 600 },
        { ...common, type: "waiting", flow: "device", secondsLeft: 540 },
        {
          ...common,
          type: "logged_in",
          expiresAt: "1970-01-01T01:01:30.000Z",
          expiresAtEpochSeconds: 3690,
        },
      ])
      assert.strictEqual(said.stderr, "")
    }),
  )

  it.effect("is an error, if it was cancelled", () =>
    Effect.gen(function* () {
      const { asked, run, said } = setUp({ pending: 90 }, {})
      const running = yield* Effect.forkChild(run("demo", "--json"))
      yield* settle
      yield* Fiber.interrupt(running)
      const error = { code: "CANCELLED", message: "The login was cancelled." }
      assert.deepStrictEqual(lines(said.stdout).at(-1), { version: 1, error })
      assert.strictEqual(asked.at(-1), "cancel a session")
      assert.strictEqual(said.stderr, "")
    }),
  )

  it.effect("is why a line on stdin was not the answer", () =>
    Effect.gen(function* () {
      const { run, said } = setUp({ flows: ["browser_redirect"], pending: 2 }, { isTerminal: false, stdin: "what?\n" })
      const running = yield* Effect.forkChild(run("demo", "--json"))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(running)
      const types = lines(said.stdout).map((line) => (line as { readonly type: string }).type)
      assert.deepStrictEqual(types, ["begun", "waiting", "paste_refused", "logged_in"])
    }),
  )
})

describe("a hostile provider", () => {
  const evil = "A\u001b[2J\u001b]8;;https://evil.example\u0007B\u202eC\u009b31m\u200bD\r\n"
  const hostile: ReadonlyArray<readonly [what: string, changes: Partial<InitiatedLogin>]> = [
    ...[
      "javascript:alert(1)",
      "file:///etc/passwd",
      `https://id.example/${evil}`,
      `https://id.example/${"x".repeat(10_000)}`,
    ].map(
      (address) =>
        [
          `leads to ${JSON.stringify(address).slice(0, 60)}`,
          {
            authUrl: address,
            device: Option.some({
              userCode: evil,
              verificationUri: address,
              verificationUriComplete: Option.some(address),
            }),
            notice: Option.some(evil.repeat(100)),
          },
        ] as const,
    ),
    [
      "has an endless code",
      {
        device: Option.some({
          userCode: "W".repeat(10_000),
          verificationUri: "https://id.example/device",
          verificationUriComplete: Option.none(),
        }),
      },
    ],
  ]
  for (const [what, changes] of hostile) {
    it.effect(`says nothing raw to the terminal, the clipboard or the browser if it ${what}`, () =>
      Effect.gen(function* () {
        for (const flow of ["device", "browser"]) {
          for (const [isTerminal, args] of [
            [true, []],
            [false, []],
            [true, ["--json"]],
          ] as const) {
            const { done, run, said } = setUp(
              { changes, flows: ["device_code", "browser_redirect"] },
              { isTerminal, columns: 200, rows: 100, environment: { DISPLAY: ":0" } },
            )
            yield* run("demo", "--flow", flow, "--copy", ...args)
            assert.isNull(rawIn(said.stderr))
            assert.isNull(rawIn(said.stdout))
            assert.notMatch(said.stderr + said.stdout + done.join(), /javascript:|file:|W{300}/)
            for (const thing of done) assert.match(thing, /^(opened|copied) https:\/\/id\.example\/[!-~]*$/)
          }
        }
      }),
    )
  }
})

describe("a browser that cannot reach this machine", () => {
  it.live("is stood in for by the address that it ended on", () =>
    Effect.gen(function* () {
      const { grant, provider } = yield* ScriptedProvider
      const terminal = AtTerminal.make({ columns: 100, environment: { DISPLAY: ":0" } })
      const own = { ...provider, redirectUris: ["http://127.0.0.1/callback"] }
      yield* Effect.gen(function* () {
        const running = yield* Effect.forkChild(
          terminal.run(login, ["login", provider.name, "--no-browser"]).pipe(Effect.provide(machine().layer)),
        )
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => terminal.isRead() })
        const [url = ""] = /https:[^\s␛]+\/authorize[^\s␛]+/.exec(visible(terminal.said.stderr)) ?? []
        const answer = yield* grant(url)
        yield* terminal.paste(answer.replace(/state=[^&]*/, "state=wrong"))
        yield* terminal.press("return")
        yield* settle
        const [, after = ""] = visible(terminal.said.stderr).split("That is not the address")
        assert.match(after, /from its http:\/\/ on\.\n\n/)
        yield* Effect.repeat(Effect.sleep("50 millis"), {
          until: () => /Waiting[^\n]*\n {2}Paste here: $/.test(visible(terminal.said.stderr)),
        })
        assert.match(visible(terminal.said.stderr), /Waiting[^\n]*\n[^\n]*␛\[1A\r␛\[J {2}Waiting/)
        yield* terminal.paste(answer)
        yield* terminal.press("return")
        yield* Fiber.join(running)
        assert.include(terminal.said.stderr, `Logged in as ${provider.name}.`)
        const code = new URL(answer).searchParams.get("code") ?? ""
        assert.notStrictEqual(code, "")
        assert.notInclude(terminal.said.stderr, code)
      }).pipe(Effect.provide(BrokerHost.layerMemory([own]).pipe(Layer.provide(BrokerConfig.layer("/nowhere")))))
    }).pipe(Effect.provide([ScriptedProvider.layer(), NodeServices.layer])),
  )
})
