/**
 * `tokenkeep exec` around real programs: what they get, what becomes of it, and how they and we end.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WireClient from "../support/WireClient.ts"

const python = fileURLToPath(new URL("wire_client.py", import.meta.url))

/** Descriptors that whoever runs the tests gives to every process; the last one is the folder that is being listed. */
const inherited = spawnSync("ls", ["/proc/self/fd"], { encoding: "utf8" })
  .stdout.trim()
  .split("\n")
  .filter((number) => Number(number) > 3)

/** What scripts find: the program itself as `tokenkeep`, and the client in Python, which gets the token of an account. */
const prelude = `
descriptors() { ls /proc/self/fd | grep -vxF -e none ${inherited.map((number) => `-e ${number}`).join(" ")} | xargs; }
tokenkeep() { "$NODE" "$MAIN" "$@"; }
wire() { echo '{"op":"get_token","payload":{"provider":"'"$1"'"}}' | python3 -I -S "$WIRE"; }
`

/** A home where somebody is logged in at two providers, and a way to run things there. */
const prepare = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  yield* loggedIn(home, { github: recordOf("github"), other: recordOf("other") })
  const environment = {
    TOKENKEEP_HOME: home,
    PATH: process.env["PATH"] ?? "",
    NODE: process.execPath,
    MAIN: Program.main,
    WIRE: python,
  }
  const start = (flags: ReadonlyArray<string>, command: ReadonlyArray<string>) =>
    Program.start(["exec", "--allow", "github", ...flags, "--", ...command], environment)
  const startScript = (flags: ReadonlyArray<string>, script: string) => start(flags, ["sh", "-c", prelude + script])
  const ended = (running: Program.Running) => Effect.promise(() => running.ended)
  return {
    home,
    environment,
    startScript,
    run: (flags: ReadonlyArray<string>, ...command: ReadonlyArray<string>) =>
      Effect.scoped(Effect.flatMap(start(flags, command), ended)),
    script: (flags: ReadonlyArray<string>, script: string) =>
      Effect.scoped(Effect.flatMap(startScript(flags, script), ended)),
    serve: (...flags: ReadonlyArray<string>) =>
      Effect.tap(Program.start(["serve", ...flags], environment), (host) =>
        Effect.promise(() => host.said("stdout", /Listening/)),
      ),
    /** What is there that was not before. */
    left: () =>
      readdirSync(home).filter(
        (name) => !["accounts", "audit", "host.sock", "host.sock.lock", "usage.json", "usage.json.lock"].includes(name),
      ),
  }
})

const said = (running: Program.Running, pattern: RegExp) => Effect.promise(() => running.said("stdout", pattern))

/** Waits until we are no more, however that came, and then tries what it was given. */
const orphan = `
echo "at $TOKENKEEP_SOCKET with $(wire github | grep -c access-github)"
while kill -0 "$PPID" 2>/dev/null; do sleep 0.05; done
tokenkeep token github 2>&1
echo "code $?"
`

describe("tokenkeep exec", () => {
  it.live("gives a program tokens of what is allowed, and nothing to find or to keep", () =>
    Effect.gen(function* () {
      const { environment, left, script } = yield* prepare
      const { code, stderr, stdout } = yield* script(
        ["--label", "my agent"],
        `
        tokenkeep token github
        tokenkeep token other 2>&1; echo "other $?"
        wire github; wire github; (wire other)
        echo "descriptors $(descriptors)"
        capability=$(cat <&3); token=$(tokenkeep token github)
        test "\${#capability}" -gt 40 && echo capability
        test "$LLXPRT_CREDENTIAL_SOCKET" = "$TOKENKEEP_SOCKET" && echo "same socket"
        for process in $$ $PPID; do
          if tr '\\0' '\\n' < /proc/$process/environ | grep -qF -e "$capability" -e "$token"; then echo in environ; fi
          if tr '\\0' '\\n' < /proc/$process/cmdline | grep -qF -e "$capability" -e "$token"; then echo in cmdline; fi
        done
        grep -rqF -e "$capability" "$TOKENKEEP_HOME" 2>/dev/null && echo on disk
        echo $TOKENKEEP_HOME
        exit 3
        `,
      )
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 3)
      const lines = stdout.trim().split("\n")
      assert.strictEqual(lines[0], "access-github")
      assert.strictEqual(lines[2], "other 3")
      const replies = lines.filter((line) => line.startsWith("{")).map((line): unknown => JSON.parse(line))
      assert.containSubset(replies, [
        { op: "handshake", ok: true },
        { ok: true, data: { access_token: "access-github" } },
        { op: "handshake", ok: true },
        { ok: true, data: { access_token: "access-github" } },
        { op: "handshake", ok: true },
        { ok: false, code: "FORBIDDEN" },
      ])
      // The last one is the folder that is being listed.
      assert.deepStrictEqual(lines.slice(9), [
        "descriptors 0 1 2 3 4",
        "capability",
        "same socket",
        environment.TOKENKEEP_HOME,
      ])
      assert.deepStrictEqual(left(), [])
      const shown = yield* Program.run(["audit", "show", "--json", "--grant", "my agent"], environment)
      const outcomes = shown.stdout.trim().split("\n")
      assert.deepStrictEqual(
        outcomes.map((line): unknown => JSON.parse(line).outcome),
        ["ok", "FORBIDDEN", "ok", "ok", "FORBIDDEN", "ok"],
        shown.stderr,
      )
    }),
  )

  it.live("asks the host that serves, and leaves that as it was", () =>
    Effect.gen(function* () {
      const { environment, left, script, serve } = yield* prepare
      const host = yield* serve("--audit", "off")
      const counted = yield* script(
        ["--uses", "1"],
        `
        case "$TOKENKEEP_SOCKET" in "$TOKENKEEP_HOME"/sandboxes/*) echo of the host;; esac
        for i in 1 2 3; do echo '{"op":"get_token","payload":{"provider":"github"}}'; done |
          python3 -I -S "$WIRE" --pipeline | grep -c access-github`,
      )
      assert.strictEqual(counted.stdout, "of the host\n1\n")
      assert.strictEqual(counted.stderr, "")
      assert.strictEqual(counted.code, 0)
      const short = yield* script(["--for", "1s"], `while test -e "$TOKENKEEP_SOCKET"; do sleep 0.1; done; wire github`)
      assert.strictEqual(short.code, WireClient.exit.unreachable)
      assert.deepStrictEqual(readdirSync(join(environment.TOKENKEEP_HOME, "sandboxes")), [])
      const tcp = yield* script(["--tcp"], "echo never")
      assert.deepStrictEqual([tcp.code, tcp.stdout], [125, ""])
      assert.include(tcp.stderr, "tokenkeep serve --tcp")

      const running = yield* (yield* prepare).startScript(
        ["--host-socket", join(environment.TOKENKEEP_HOME, "host.sock")],
        orphan,
      )
      yield* said(running, /with 1\n/)
      running.kill("SIGKILL")
      const { stdout } = yield* Effect.promise(() => running.ended)
      assert.match(stdout, /Nobody answers at .*\ncode 7\n$/)
      assert.deepStrictEqual(readdirSync(join(environment.TOKENKEEP_HOME, "sandboxes")), [])
      host.kill("SIGTERM")
      yield* Effect.promise(() => host.ended)
      assert.deepStrictEqual(left(), [])
    }),
  )

  it.live("when it is killed leaves nothing that works, and clears that away later", () =>
    Effect.gen(function* () {
      const { home, left, run, startScript } = yield* prepare
      const running = yield* startScript([], orphan)
      const [, socket = ""] = yield* said(running, /^at (.*) with 1\n/)
      running.kill("SIGKILL")
      const { stdout } = yield* Effect.promise(() => running.ended)
      assert.match(stdout, /Nobody answers at .*\ncode 7\n$/)
      const folder = join(socket, "..")
      assert.isTrue(existsSync(folder))
      utimesSync(folder, 0, 0)
      assert.strictEqual((yield* run([], "test", "!", "-e", folder)).code, 0, home)
      assert.deepStrictEqual(left(), [])
    }),
  )

  it.live("ends as the program ends, or as env(1) when there is none", () =>
    Effect.gen(function* () {
      const { environment, left, run } = yield* prepare
      const printed = yield* run([], "printf", "%s|", "a b", "--help", "--", "")
      assert.deepStrictEqual([printed.code, printed.stdout, printed.stderr], [0, "a b|--help|--||", ""])
      for (const [code, ...command] of [
        [137, "sh", "-c", "kill -KILL $$"],
        [5, "sh", "-c", "exec 0<&- 1>&- 2>&- 3<&-; sleep 0.1; exit 5"],
        [126, "/dev/null"],
        [127, "no-such-program"],
      ] as const) {
        const outcome = yield* run([], ...command)
        assert.strictEqual(outcome.code, code, outcome.stderr)
        assert.strictEqual(outcome.stdout, "")
        assert.match(outcome.stderr, code === 126 || code === 127 ? /^tokenkeep: [^\n]+\n$/ : /^$/)
      }
      for (const [hint, ...args] of [
        ["--allow", "exec", "--", "true"],
        ["--help", "exec", "--alow", "x", "--", "true"],
        [
          "TOKENKEEP_SOCKET names",
          "exec",
          "--allow",
          "other",
          "--",
          process.execPath,
          Program.main,
          "exec",
          "--allow",
          "x",
          "--",
          "true",
        ],
        ["tokenkeep serve", "exec", "--allow", "x", "--host-socket", "/none.sock", "--", "true"],
      ] as const) {
        const outcome = yield* Program.run(args, environment)
        assert.deepStrictEqual([outcome.code, outcome.stdout], [125, ""])
        assert.include(outcome.stderr, hint)
      }
      assert.deepStrictEqual(left(), [])
    }),
  )

  it.live("passes signals on, and does not end before the program", () =>
    Effect.gen(function* () {
      const { left, startScript } = yield* prepare
      const running = yield* startScript(
        [],
        `trap '' TERM; trap 'echo int' INT; trap 'echo hup' HUP; trap 'echo usr1; exit 9' USR1
        echo ready; while :; do sleep 0.05; done`,
      )
      yield* said(running, /ready/)
      running.kill("SIGTERM")
      running.kill("SIGHUP")
      yield* said(running, /hup/)
      running.kill("SIGINT")
      yield* said(running, /int/)
      running.kill("SIGUSR1")
      const ended = yield* Effect.promise(() => running.ended)
      assert.deepStrictEqual([ended.code, ended.stdout, ended.stderr], [9, "ready\nhup\nint\nusr1\n", ""])
      const stopped = yield* startScript([], "echo ready; exec sleep 60")
      yield* said(stopped, /ready/)
      stopped.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => stopped.ended)).code, 128 + 15)
      assert.deepStrictEqual(left(), [])
    }),
  )

  it.live("leaves to a terminal what the terminal sends to all", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare
      const terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
      const child = `trap 'echo int' INT; trap 'echo quit' QUIT; trap 'echo usr1; exit 4' USR1
        echo "ready $PPID"; while :; do sleep 0.05; done`
      const running = yield* Program.start(["exec", "--allow", "github", "--", "sh", "-c", child], environment, [
        "python3",
        "-c",
        terminal,
      ])
      const [, pid = ""] = yield* said(running, /ready (\d+)/)
      running.write("\u0003")
      yield* said(running, /int/)
      running.write("\u001c")
      yield* said(running, /quit/)
      process.kill(Number(pid), "SIGUSR1")
      const { code, stdout } = yield* Effect.promise(() => running.ended)
      assert.strictEqual(code, 4, stdout)
      const heard = stdout.replace(/\^./g, "").split("\r\n")
      // The shell says "Quit" besides, of what it was waiting for.
      assert.deepStrictEqual(
        heard.filter((line) => /^(int|quit|usr1)$/.test(line)),
        ["int", "quit", "usr1"],
      )
    }),
  )

  it.live("gives the capability in the environment, or asks for none, and does so over TCP", () =>
    Effect.gen(function* () {
      const { environment, script } = yield* prepare
      const show = `
        echo "\${#TOKENKEEP_CAPABILITY} $TOKENKEEP_CAPABILITY_FD" $(descriptors); wire github | grep -c access-github`
      const inEnvironment = yield* script(["--capability", "env"], show)
      assert.strictEqual(inEnvironment.stdout, "43  0 1 2 3\n1\n", inEnvironment.stderr)
      const none = yield* script(["--capability", "none"], show)
      assert.strictEqual(none.stdout, "0  0 1 2 3\n1\n", none.stderr)
      const tcp = yield* script(["--tcp"], `echo "$TOKENKEEP_SOCKET $LLXPRT_CREDENTIAL_SOCKET"; ${show}`)
      assert.match(tcp.stdout, /^tcp:\/\/127.0.0.1:\d+ \n0 3 0 1 2 3 4\n1\n$/, tcp.stderr)
      assert.strictEqual(tcp.stderr, "")
      const lost = yield* Program.run(["token", "github"], {
        ...environment,
        TOKENKEEP_SOCKET: "/none.sock",
        TOKENKEEP_CAPABILITY_FD: "99",
      })
      assert.deepStrictEqual([lost.code, lost.stdout], [2, ""])
      assert.include(lost.stderr, "TOKENKEEP_CAPABILITY_FD is 99")
      assert.include(lost.stderr, "--capability env")
    }),
  )
})
