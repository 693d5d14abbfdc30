/**
 * `serve` as systemd starts it, with a socket that is there already and somebody to tell how it is.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option } from "effect"
import * as Systemd from "../../src/server/Systemd.ts"
import * as Logs from "../support/Logs.ts"
import * as Activation from "../support/Activation.ts"
import * as Program from "../support/Program.ts"
import * as RawPeer from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const prepare = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  mkdirSync(`${home}/run`, { mode: 0o700 })
  const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
  const activate = (how: string, ...args: ReadonlyArray<string>) =>
    Program.start(["serve", ...args], environment, Activation.launcher(`${home}/run`, how))
  return { activate, home, path: `${home}/run/host.sock` }
})

const said = (host: Program.Running, pattern: RegExp) => Effect.promise(() => host.said("stdout", pattern))
const end = (host: Program.Running) => Effect.promise(() => host.ended)

describe.skipIf(!Activation.isPossible)("a server under systemd (skipped without Linux and python3)", () => {
  it.live("takes requests on the socket that it was given, says when, and leaves the socket where it is", () =>
    Effect.gen(function* () {
      const { activate, home, path } = yield* prepare
      const host = yield* activate("unix")
      yield* said(host, /notified: READY=1/)
      const peer = yield* Effect.promise(() => RawPeer.greeted(path))
      yield* Effect.promise(() =>
        peer.write(
          RawPeer.request("1", "grant_add", {
            terms: { label: "box", accounts: ["demo"], keys: [], permissions: [], approved: [], uids: "any" },
            transport: "unix",
            has_capability: false,
            is_kept: false,
            while_connected: false,
          }),
        ),
      )
      assert.isTrue(yield* Effect.promise(() => peer.count(2)))
      assert.containSubset(peer.replies[1], { ok: true })
      assert.include(JSON.stringify(peer.replies[1]), `${home}/run/sandboxes/`)
      host.kill("SIGTERM")
      const { code, stderr, stdout } = yield* end(host)
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stderr, "")
      assert.strictEqual(stdout, `Listening on ${path}\nnotified: READY=1\nnotified: STOPPING=1\n`)
      assert.isTrue(lstatSync(path).isSocket())
      assert.isFalse(existsSync(`${home}/keep/host.sock`))
    }),
  )

  it.live("makes its own socket where the one that there is is for another process, or there is none", () =>
    Effect.gen(function* () {
      for (const how of ["other", "none"]) {
        const { activate, home } = yield* prepare
        const host = yield* activate(how)
        yield* said(host, /notified: READY=1/)
        yield* Effect.promise(() => RawPeer.greeted(`${home}/keep/host.sock`).then((peer) => peer.leave()))
      }
    }),
  )

  it.live("does not start with anything else than one Unix socket that listens, and says what to change", () =>
    Effect.gen(function* () {
      const wrong = {
        two: "2 sockets instead of one",
        datagram: "no stream",
        inet: "no Unix socket",
        connected: "Accept=",
        abstract: "without a path",
      }
      yield* Effect.forEach(
        Object.entries(wrong),
        Effect.fnUntraced(function* ([how, why]) {
          const { activate, home } = yield* prepare
          const { code, stderr, stdout } = yield* end(yield* activate(how))
          assert.strictEqual(code, 1, how)
          assert.strictEqual(stdout, "", how)
          assert.include(stderr, why)
          assert.include(stderr, "ListenStream=")
          assert.notInclude(readdirSync(home), "keep")
        }),
        { concurrency: 2 },
      )
      const { activate, home } = yield* prepare
      const { code, stderr } = yield* end(yield* activate("unix", "--socket", `${home}/mine.sock`))
      assert.strictEqual(code, 2, stderr)
      assert.include(stderr, "without --socket")
    }),
  )

  it.live("keeps what systemd told it from the programs that it starts, and goes on when nobody listens", () =>
    Effect.gen(function* () {
      const variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"]
      yield* Effect.addFinalizer(() => Effect.sync(() => variables.forEach((name) => delete process.env[name])))
      for (const address of [`${yield* TemporaryHome.make}/nobody`, "vsock:2:1234", `/${"x".repeat(108)}`]) {
        for (const name of variables) process.env[name] = name === "NOTIFY_SOCKET" ? address : "1"
        // What is in the environment is looked at once in the life of a process, which here is that of many tests.
        const { inherited, notify } = yield* Effect.provideService(
          Systemd.take,
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv(),
        )
        assert.deepStrictEqual(inherited, Option.none())
        for (const name of variables) assert.isUndefined(process.env[name])
        const { layer, lines } = Logs.make()
        yield* Effect.provide(notify("READY=1"), layer)
        assert.match(lines.join(), /^Warn systemd could not be told how this server is: [^,]+$/)
      }
    }).pipe(Effect.scoped),
  )
})
