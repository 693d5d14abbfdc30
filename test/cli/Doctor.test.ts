/**
 * `tokenkeep doctor` in this process, over homes in which something is really wrong; what it says is tried out.
 */
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { createServer, type Server } from "node:http"
import * as Net from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, DateTime, Duration, Effect, Fiber, Layer, Redacted, Schema } from "effect"
import { Command } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { FetchHttpClient } from "effect/http"
import { TestClock, TestConsole } from "effect/testing"
import stringWidth from "string-width"
import { doctor, examine } from "../../src/cli/Doctor.ts"
import type { Finding } from "../../src/cli/doctor/Finding.ts"
import type { MakeLock } from "../../src/cli/doctor/MachineChecks.ts"
import * as ProviderChecks from "../../src/cli/doctor/ProviderChecks.ts"
import { type Facts, Surroundings } from "../../src/cli/doctor/Surroundings.ts"
import { ExitStatus } from "../../src/cli/ExitCode.ts"
import { Json } from "../../src/cli/GlobalFlags.ts"
import { Columns } from "../../src/cli/Screen.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { ProviderFetch } from "../../src/oauth/ProviderFetch.ts"
import { ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { Block } from "../../src/server/AuditBlock.ts"
import * as AuditFile from "../../src/server/AuditFile.ts"
import { adopt, anthropicAccount, golden, place, processIn, take } from "../support/Importing.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import * as Configuration from "../../src/quick/Configuration.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

interface Options {
  readonly variables?: { readonly [name: string]: string }
  readonly facts?: Partial<Facts>
  readonly lock?: MakeLock
  readonly online?: boolean
}

/** What runs in a home, and nowhere else. */
const inHome = (home: string, { facts = {}, variables = {} }: Options) => {
  const environment = { TOKENKEEP_HOME: home, HOME: `${home}/nobody`, LANG: "C.UTF-8", ...variables }
  return Layer.mergeAll(
    NodeServices.layer,
    ConfigProvider.layer(ConfigProvider.fromUnknown(environment)),
    Layer.effect(
      Surroundings,
      Effect.map(Surroundings, (real) => ({ ...real, ...facts })),
    ),
  )
}

const findings = (home: string, options: Options = {}) =>
  examine(options.online !== true, options.lock).pipe(Effect.provide(inHome(home, options)))

/** What is wrong, if anything. */
const wrong = (home: string, options: Options = {}) =>
  Effect.map(findings(home, options), (found) =>
    found.filter(({ level }) => level === "problem" || level === "warning"),
  )

/** The one thing that is wrong. */
const only = Effect.fnUntraced(function* (home: string, options: Options = {}) {
  const [first, ...others] = yield* wrong(home, options)
  assert.deepStrictEqual(others, [])
  if (first === undefined) return yield* Effect.die("nothing is wrong")
  return first
})

/** Types what was said; nobody needs to be root here who is not. */
const type = ({ command = "false" }: Finding) => {
  const { status, stderr } = spawnSync("sh", ["-c", command.replace(/^sudo /, "")], { encoding: "utf8" })
  assert.strictEqual(status, 0, `${command}: ${stderr}`)
}

/** Something is wrong, which is said; and what is said mends it. */
const mended = Effect.fnUntraced(function* (home: string, check: string, message: RegExp, options: Options = {}) {
  const found = yield* only(home, options)
  assert.deepStrictEqual([found.check, found.level], [check, "problem"])
  assert.match(found.message, message)
  type(found)
  assert.deepStrictEqual(yield* wrong(home, options), [])
  return found
})

const good = { issuer: "https://id.example", clientId: "c", scopes: [], flows: ["device_code"] }

const configure = (home: string, providers: unknown) =>
  writeFileSync(`${home}/config.json`, JSON.stringify({ providers }), { mode: 0o600 })

const put = (path: string, text: string, mode = 0o600) => {
  mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 })
  writeFileSync(path, text, { mode })
  chmodSync(path, mode)
}

/** A home with a login, of which nothing can be said but good. */
const healthy = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  configure(home, { example: good })
  yield* loggedIn(home, { example: recordOf("canary") })
  return home
})

/** All that is in a folder, and since when. */
const stateOf = (home: string) =>
  readdirSync(home, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const { ino, mode, mtimeMs } = statSync(`${home}/${name}`)
      return [name, ino, mode, mtimeMs]
    })

const isRoot = process.getuid?.() === 0

describe("tokenkeep doctor", () => {
  it.live("has nothing to say of what is well, changes nothing, and tells no secret", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const before = stateOf(home)
      const found = yield* findings(home)
      assert.deepStrictEqual(
        found.filter(({ level }) => level !== "ok").map(({ check, level }) => [check, level]),
        [["network", "skipped"]],
      )
      assert.include(found.map(({ message }) => message).join("\n"), "1, all readable and in order")
      assert.deepStrictEqual(stateOf(home), before)
      assert.notMatch(JSON.stringify(found), /canary/)
      const empty = yield* TemporaryHome.make
      assert.deepStrictEqual(yield* wrong(`${empty}/not/there/yet`), [])
      assert.deepStrictEqual(readdirSync(empty), [])
    }),
  )

  it.live("works where nothing else does", () =>
    Effect.gen(function* () {
      const folder = yield* TemporaryHome.make
      const home = `${folder}/home`
      writeFileSync(home, "")
      yield* mended(home, "folders", /has to be a folder/)
      const below = yield* only(`${home}.damaged/below`)
      assert.deepStrictEqual([below.check, below.level], ["folders", "problem"])
      const early = yield* only(folder, { variables: { TOKENKEEP_SESSION_TIMEOUT_SECONDS: "soon" } })
      assert.strictEqual(early.command, "unset TOKENKEEP_SESSION_TIMEOUT_SECONDS")
    }),
  )

  describe("finds folders and files that", () => {
    it.live("others may open", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        chmodSync(`${home}/accounts`, 0o755)
        const { command } = yield* mended(home, "folders", /accounts is open to other users \(mode 0755\)/)
        assert.strictEqual(command, `chmod 700 ${home}/accounts`)
        chmodSync(`${home}/accounts/example/default.json`, 0o640)
        yield* mended(home, "folders", /default\.json is open to other users \(mode 0640\)/)
        for (const path of ["accounts", "accounts/example/default.json"]) chmodSync(`${home}/${path}`, 0o777)
        yield* mended(home, "folders", /2 files and folders are open/)
        assert.strictEqual(statSync(`${home}/accounts/example/default.json`).mode & 0o777, 0o700)
      }),
    )

    it.live("others may change, where that says what is run", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        chmodSync(`${home}/config.json`, 0o666)
        yield* mended(home, "folders", /Others can change .*config\.json \(mode 0666\)/)
        assert.strictEqual(statSync(`${home}/config.json`).mode & 0o777, 0o644)
      }),
    )

    it.live.skipIf(!isRoot)("are not ours", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        chownSync(`${home}/accounts/example/default.json`, 4711, 4711)
        yield* mended(home, "folders", /default\.json belongs to another user/)
      }),
    )

    it.live.skipIf(isRoot)("cannot be opened", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        put(`${home}/keys/openai.json`, `{"version":1,"name":"openai","key":"sk"}`)
        chmodSync(`${home}/keys`, 0)
        yield* mended(home, "folders", /keys cannot be opened/)
      }),
    )

    it.live("are no folders", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        writeFileSync(`${home}/keys`, "")
        const [found] = yield* wrong(home)
        assert.match(found?.message ?? "", /keys has to be a folder/)
        if (found !== undefined) type(found)
        assert.deepStrictEqual(yield* wrong(home), [])
      }),
    )
  })

  it.live("waits for no pipe that is in the place of a file", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      assert.strictEqual(spawnSync("mkfifo", [`${home}/pipe`]).status, 0)
      for (const name of ["config.json", "usage.json"]) {
        symlinkSync("pipe", `${home}/${name}`)
        assert.throws(() => Configuration.read(`${home}/${name}`))
        yield* mended(home, name.replace(".json", ""), /Could not read/)
        unlinkSync(`${home}/${name}.damaged`)
        renameSync(`${home}/pipe`, `${home}/${name}`)
        yield* mended(home, name.replace(".json", ""), /Could not read/)
        renameSync(`${home}/${name}.damaged`, `${home}/pipe`)
      }
    }),
  )

  describe("finds files that are damaged:", () => {
    for (const [path, check] of [
      ["keys/openai.json", "keys"],
      ["clients/some.json", "clients"],
      ["clients/resources/some.json", "clients"],
      ["grants/0123abcd.json", "grants"],
      ["adopted/anthropic/default.json", "adopted"],
      ["usage.json", "usage"],
      ["config.json", "config"],
    ] as const) {
      it.live(path, () =>
        Effect.gen(function* () {
          const home = yield* TemporaryHome.make
          put(`${home}/${path}`, `{"version":1,"half":`)
          yield* mended(home, check, /left as it is/)
          assert.strictEqual(readFileSync(`${home}/${path}.damaged`, "utf8"), `{"version":1,"half":`)
        }),
      )
    }

    it.live("an account's, which needs a login", () =>
      Effect.gen(function* () {
        const home = yield* healthy
        const path = `${home}/accounts/example/default.json`
        writeFileSync(path, readFileSync(path, "utf8").slice(0, 40))
        const found = yield* only(home)
        assert.deepStrictEqual([found.check, found.level], ["logins", "problem"])
        const [move = "", login] = (found.command ?? "").split(" && ")
        assert.strictEqual(login, "tokenkeep login example")
        type({ ...found, command: move })
        assert.deepStrictEqual(yield* wrong(home), [])
      }),
    )

    it.live("an account's whose name is lost with it", () =>
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        const name = "n".repeat(200)
        configure(home, { [name]: good })
        yield* loggedIn(home, { [name]: recordOf("x") })
        assert.deepStrictEqual(yield* wrong(home), [])
        const [folder = ""] = readdirSync(`${home}/accounts`)
        writeFileSync(`${home}/accounts/${folder}/default.json`, "{")
        yield* mended(home, "logins", /is damaged/)
      }),
    )

    it.live("the audit log's", () =>
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        const writer = AuditFile.writer({ directory: `${home}/audit`, keep: 2, maximumBytes: 1000 })
        const [one, two] = [{ event: "start", mode: "on" }, { event: "stop" }] as const
        yield* Effect.flatMap(writer, ({ append }) => append([one, two], new Block(0))).pipe(
          Effect.provide([NodeServices.layer, SecureRandom.layerWebCrypto]),
        )
        assert.deepStrictEqual(yield* wrong(home), [])
        const log = readdirSync(`${home}/audit`).find((name) => name.endsWith(".ndjson"))
        const text = readFileSync(`${home}/audit/${log}`, "utf8")
        writeFileSync(`${home}/audit/${log}`, text.replace(`"on"`, `"of"`))
        const { check, command } = yield* only(home)
        assert.deepStrictEqual([check, command], ["audit", "tokenkeep audit verify"])
      }),
    )
  })

  it.live("finds what killed writers have left; but not what a login can be saved by", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const path = `${home}/accounts/example/default.json`
      const left = `${path}.0123456789abcdef.tmp`
      const old = DateTime.toDateUtc(DateTime.subtract(yield* DateTime.now, { hours: 1 }))
      writeFileSync(left, "half", { mode: 0o600 })
      assert.deepStrictEqual(yield* wrong(home), [], "somebody may be writing it now")
      utimesSync(left, old, old)
      const found = yield* only(home)
      assert.deepStrictEqual([found.check, found.level], ["leftovers", "warning"])
      type(found)
      assert.deepStrictEqual(yield* wrong(home), [])
      for (const name of ["somebody-elses.tmp", "config.json.0123456789abcdef.tmp"]) {
        writeFileSync(`${home}/${name}`, "", { mode: 0o600 })
        utimesSync(`${home}/${name}`, old, old)
      }
      const beside = yield* only(home)
      assert.strictEqual(beside.command, `rm ${home}/config.json.0123456789abcdef.tmp`)
      type(beside)

      const at = DateTime.subtract(yield* DateTime.now, { hours: 2 })
      const attempt = { at, pid: 4242, refreshTokenHash: "0".repeat(64) }
      const sent = AccountRecord.withSent(recordOf("canary"), attempt)
      const answer = { accessToken: Redacted.make("a"), refreshToken: Redacted.make("r") }
      yield* loggedIn(home, { example: AccountRecord.withRefreshed(sent, answer, at) })
      renameSync(path, left)
      yield* loggedIn(home, { example: sent })
      utimesSync(left, old, old)
      const { check, command, level } = yield* only(home)
      assert.deepStrictEqual([check, level, command], ["logins", "warning", "tokenkeep token example > /dev/null"])
    }),
  )

  it.live("finds logins that need a person", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      configure(home, { refused: good, lost: good })
      const at = DateTime.makeUnsafe("2026-06-01T00:00:00Z")
      const attempt = { at, pid: 4242, refreshTokenHash: "0".repeat(64) }
      const failed = (failure: Parameters<typeof AccountRecord.withFailure>[2]) =>
        AccountRecord.withFailure(recordOf("x"), AccountRecord.unused, failure)
      const common = { at, failures: 1, wait: Duration.zero } as const
      yield* loggedIn(home, {
        refused: failed({ ...common, outcome: "reauth_required" }),
        lost: failed({ ...common, outcome: "lost", attempt }),
      })
      const found = yield* wrong(home)
      assert.deepStrictEqual(
        found.map(({ check, command, level }) => [check, level, command]),
        [
          ["logins", "problem", "tokenkeep login lost"],
          ["logins", "problem", "tokenkeep login refused"],
        ],
      )
    }),
  )

  it.live("finds another tool with the refresh token of one of our logins, until it is adopted", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* place(home, ".claude/.credentials.json", golden("claude/credentials.json"))
      yield* take("claude", anthropicAccount).pipe(Effect.provide(processIn(home)))
      const options = { variables: { HOME: home } }
      const { check, command, level, message } = yield* only(`${home}/tk`, options)
      assert.deepStrictEqual(
        [check, level, command],
        ["copies", "problem", "tokenkeep import claude:default --adopt --replace"],
      )
      assert.match(message, /Claude Code has the refresh token of anthropic too/)
      yield* adopt("claude", anthropicAccount, undefined, true).pipe(Effect.provide(processIn(home)))
      assert.deepStrictEqual(yield* wrong(`${home}/tk`, options), [])
    }),
  )
})

describe("tokenkeep doctor, of sockets", () => {
  /** A server at a path. */
  const listening = (path: string) =>
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => socket.destroy()).listen(path, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void))),
    )

  it.live("finds one that nobody answers at, and what is none", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const path = `${home}/host.sock`
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* listening(path)
          const found = yield* findings(home)
          assert.include(JSON.stringify(found), `tokenkeep serve answers at ${path}`)
          assert.deepStrictEqual(yield* wrong(home), [])
          // Closing removes what it has made, where it has made it.
          renameSync(path, `${home}/moved`)
        }),
      )
      renameSync(`${home}/moved`, path)
      const dead = yield* only(home)
      assert.deepStrictEqual([dead.check, dead.level, dead.command], ["socket", "warning", `rm ${path}`])
      type(dead)
      assert.deepStrictEqual(yield* wrong(home), [])
      writeFileSync(path, "")
      yield* mended(home, "socket", /no socket is at/)
    }),
  )

  it.live("finds a path that is too long, and a folder that others may enter", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const long = yield* wrong(`${home}/${"long".repeat(30)}`)
      assert.deepStrictEqual(
        long.map(({ check, level }) => [check, level]),
        [["socket", "problem"]],
      )
      assert.match(long[0]?.message ?? "", /has \d+ bytes, and a socket's path no more than 10[37]/)
      const less = yield* wrong(`${home}/${"x".repeat(90 - home.length)}`)
      assert.deepStrictEqual(
        less.map(({ check, level }) => [check, level]),
        [["socket", "warning"]],
      )
      chmodSync(home, 0o755)
      yield* mended(home, "socket", /others may enter its folder/)
    }),
  )

  it.live("finds that TOKENKEEP_SOCKET leads nowhere, or to somebody who is no host", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      yield* listening(`${home}/other.sock`)
      for (const path of [`${home}/nowhere.sock`, `${home}/other.sock`]) {
        const { check, command, level } = yield* only(home, { variables: { TOKENKEEP_SOCKET: path } })
        assert.deepStrictEqual([check, level, command], ["environment", "problem", "unset TOKENKEEP_SOCKET"])
      }
    }),
  )
})

describe("tokenkeep doctor, of this machine", () => {
  it.live("finds a Node that is too old, and a folder for temporary files that is not safe", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const old = yield* only(home, { facts: { node: "22.18.9" } })
      assert.deepStrictEqual([old.check, old.level], ["node", "problem"])
      assert.deepStrictEqual(yield* wrong(home, { facts: { node: "22.19.0" } }), [])
      const temporaryFolder = `${home}/tmp`
      mkdirSync(temporaryFolder)
      chmodSync(temporaryFolder, 0o777)
      yield* mended(home, "temporary", /anybody may put something else/, { facts: { temporaryFolder } })
      const none = yield* only(home, { facts: { temporaryFolder: `${home}/none` } })
      assert.deepStrictEqual([none.check, none.command], ["temporary", "unset TMPDIR TMP TEMP"])
    }),
  )

  it.live("finds that nothing can be locked, and still looks at all else", () =>
    Effect.gen(function* () {
      const home = yield* healthy
      const missing = yield* findings(home, { lock: Effect.die("there is no koffi") })
      assert.match(missing.find(({ check }) => check === "locks")?.message ?? "", /koffi is not there/)
      assert.strictEqual(missing.find(({ check }) => check === "logins")?.level, "ok")
      const { check, level } = yield* only(home, { lock: Effect.succeed(() => "failed") })
      assert.deepStrictEqual([check, level], ["locks", "problem"])
    }),
  )

  it.effect("finds a clock that says what cannot be", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const { check, command, level } = yield* only(home, { facts: { platform: "linux" } })
      assert.deepStrictEqual([check, level, command], ["clock", "problem", "sudo timedatectl set-ntp true"])
    }),
  )
})

describe("tokenkeep doctor, of providers", () => {
  it.live("finds records that cannot be used, and secrets that are not there", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      configure(home, { example: { ...good, flows: "device" } })
      yield* loggedIn(home, { example: recordOf("x"), gone: recordOf("y"), github: recordOf("z") })
      const found = yield* wrong(home)
      assert.sameMembers(
        found.map(({ command, level }) => `${level} ${command}`),
        [
          "problem undefined",
          "problem tokenkeep provider add gone --issuer URL --client-id ID --flow FLOW",
          "problem tokenkeep provider add github --client-id ID",
        ],
      )
      for (const { command, message } of found) if (command !== undefined) assert.notInclude(message, command)
      const misspelt = found.find(({ command }) => command === undefined)?.message ?? ""
      assert.include(misspelt, `${home}/config.json says of example`)
      assert.include(misspelt, "mend it in that file")
      assert.notInclude(misspelt, "provider add")

      const other = yield* TemporaryHome.make
      const clientSecret = { env: "EXAMPLE_SECRET" }
      configure(other, { example: { ...good, clientSecret }, filed: { ...good, clientSecret: { file: `${other}/s` } } })
      yield* loggedIn(other, { example: recordOf("x") })
      assert.deepStrictEqual(
        (yield* wrong(other)).map(({ command, level }) => `${level} ${command}`),
        ["problem export EXAMPLE_SECRET=SECRET", `warning install -m 600 /dev/stdin ${other}/s`],
      )
      const [, filed] = yield* wrong(other)
      type({ ...(filed ?? { check: "", level: "ok", message: "" }), command: `echo secret | ${filed?.command}` })
      assert.deepStrictEqual(yield* wrong(other, { variables: { EXAMPLE_SECRET: "s" } }), [])
    }),
  )

  it.live("finds plugins that were refused", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      configure(home, ["./plugin.mjs"])
      put(`${home}/plugin.mjs`, `export default { name: "mine", record: ${JSON.stringify(good)} }`, 0o666)
      const { command } = yield* mended(home, "plugins", /was not loaded/)
      assert.strictEqual(command, `chmod go-w ${home}/plugin.mjs`)
    }),
  )

  /** A server that answers like this, with its clock so many seconds ahead. */
  const server = Effect.fnUntraced(function* (status: number, ahead = 0, age = 0) {
    const clock = yield* Clock.Clock
    const http = yield* Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const made = createServer((_, response) => {
          const at = DateTime.makeUnsafe(clock.currentTimeMillisUnsafe() + ahead * 1000)
          response.setHeader("date", DateTime.toDateUtc(at).toUTCString())
          if (age > 0) response.setHeader("age", age)
          response.writeHead(status, { "content-type": "application/json" }).end("{}")
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.callback<void>((resume) => {
          made.closeAllConnections()
          made.close(() => resume(Effect.void))
        }),
    )
    const address = http.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })

  const endpointsAt = (url: string) => ({
    endpoints: { authorization: `${url}/authorize`, token: `${url}/token` },
    clientId: "c",
    scopes: [],
    flows: ["pkce_redirect"],
    redirectUris: ["http://127.0.0.1/callback"],
  })

  it.live("asks them for nothing, and finds those that do not answer, or badly", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const [fine, busy, empty] = [yield* server(405), yield* server(503), yield* server(404)]
      const closed = yield* Effect.scoped(server(200))
      configure(home, {
        fine: endpointsAt(fine),
        busy: endpointsAt(busy),
        empty: { ...good, issuer: empty },
        closed: endpointsAt(closed),
      })
      const found = yield* wrong(home, { online: true })
      assert.deepStrictEqual(
        found.map(({ check, command, level }) => [check, level, command]),
        [
          ["network", "warning", undefined],
          ["network", "problem", "tokenkeep provider show empty"],
          ["network", "problem", "tokenkeep provider show closed"],
        ],
      )
      assert.match(found[0]?.message ?? "", /busy: .* has trouble of its own \(HTTP 503\)/)
      assert.match(found[1]?.message ?? "", /has no metadata .* \(HTTP 404\)/)
      assert.match(found[2]?.message ?? "", /nobody listens at 127\.0\.0\.1/)
    }),
  )

  it.live("finds clocks that differ: ours if all do, theirs if some do", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const [late, later, right] = [yield* server(405, 90), yield* server(405, 95), yield* server(405)]
      configure(home, { late: endpointsAt(late), later: endpointsAt(later) })
      const options = { online: true, facts: { platform: "linux" } } as const
      const ours = yield* only(home, options)
      assert.deepStrictEqual(
        [ours.check, ours.level, ours.command],
        ["skew", "warning", "sudo timedatectl set-ntp true"],
      )
      assert.match(ours.message, /^The clock of this machine is (89|90|91) s behind/)
      configure(home, { late: endpointsAt(late), right: endpointsAt(right) })
      const theirs = yield* only(home, options)
      assert.match(theirs.message, /^The clock of 127\.0\.0\.1:\d+ is (89|90|91) s ahead of ours/)
      configure(home, { cached: endpointsAt(yield* server(405, -90, 90)) })
      assert.deepStrictEqual(yield* wrong(home, options), [])
      configure(home, { late: endpointsAt(yield* server(405, -4000)) })
      assert.strictEqual((yield* only(home, options)).level, "problem")
    }),
  )

  it.effect("says whether it is the name, the certificate, or patience, and waits 5 s for all together", () =>
    Effect.gen(function* () {
      const fetch: typeof globalThis.fetch = (input) => {
        const url = String(input)
        const code = /dns/.test(url) ? "ENOTFOUND" : "SELF_SIGNED_CERT_IN_CHAIN"
        if (/slow/.test(url)) return new Promise(() => {})
        return Promise.reject(Object.assign(new TypeError("fetch failed"), { cause: { code } }))
      }
      const named = (name: string) => ({
        name,
        record: Schema.decodeUnknownSync(ProviderRecord)(endpointsAt(`https://${name}.example`)),
      })
      const names = ["dns", "tls", ...Array.from({ length: 8 }, (_, i) => `slow${i}`)]
      const ask = (some: ReadonlyArray<string>) =>
        ProviderChecks.network(some.map(named), false).pipe(
          Effect.provide(ProviderFetch.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)))),
        )
      const fiber = yield* Effect.forkChild(ask(names))
      yield* TestClock.adjust("5 seconds")
      const found = yield* Fiber.join(fiber)
      assert.strictEqual(found.length, names.length)
      assert.match(found[0]?.message ?? "", /the name dns\.example leads nowhere \(DNS, ENOTFOUND\)/)
      assert.match(found[1]?.message ?? "", /certificate .* \(TLS, SELF_SIGNED_CERT_IN_CHAIN\)/)
      assert.strictEqual(found[1]?.command, "export NODE_EXTRA_CA_CERTS=/path/to/ca.pem")
      assert.match(found[2]?.message ?? "", /slow0\.example did not answer within 5 s/)
      const offline = yield* ask(["dns", "other-dns"])
      assert.strictEqual(offline.length, 1)
      assert.match(offline[0]?.message ?? "", /None of the names of 2 providers .* offline/)
    }),
  )
})

describe("what tokenkeep doctor prints", () => {
  const run = Effect.fnUntraced(function* (home: string, options: Options & { readonly json?: boolean } = {}) {
    let code = 0
    yield* Command.runWith(doctor, { version: "0" })(["--offline"]).pipe(
      Effect.provideService(Json, options.json === true),
      Effect.provideService(Columns, () => 60),
      Effect.provideService(ExitStatus, (told) => {
        code = told
      }),
      Effect.provide(inHome(home, options)),
    )
    const [said] = (yield* TestConsole.logLines).slice(-1)
    return { code, said: String(said) }
  })

  it.effect("is a line for each finding, with what to type; and a code", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* TestClock.setTime(Date.parse("2026-11-01"))
      const well = yield* run(home, { variables: { LANG: "C" } })
      assert.strictEqual(well.code, 0)
      assert.match(well.said, /^ok {3}node /)
      assert.match(well.said, /\n\nNothing is wrong\.$/)
      configure(home, 7)
      const ill = yield* run(home)
      assert.strictEqual(ill.code, 1)
      assert.match(ill.said, /\n✗ config +The configuration .*\n +→ mv .*\n[^]*\n\n1 problem\. Nothing was changed\.$/)
      const { said } = yield* run(home, { json: true })
      const json: { version: number; findings: ReadonlyArray<Finding> } = JSON.parse(said)
      assert.strictEqual(json.version, 1)
      assert.containSubset(json.findings, [{ check: "config", level: "problem" }])
      assert.isAbove(stringWidth(ill.said.split("\n")[0] ?? ""), 5)
    }),
  )
})
