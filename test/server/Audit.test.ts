import { spawn, spawnSync } from "node:child_process"
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, type Path, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type * as AuditEntry from "../../src/domain/AuditEntry.ts"
import { Audit, type Options } from "../../src/server/Audit.ts"
import { Block } from "../../src/server/AuditBlock.ts"
import * as AuditFile from "../../src/server/AuditFile.ts"
import * as KernelLock from "../../src/system/KernelLock.ts"
import { entry, found } from "../support/Audited.ts"
import { compileCache } from "../support/compileCache.ts"
import * as Programs from "../support/Programs.ts"
import * as Logs from "../support/Logs.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const place = Effect.map(TemporaryHome.make, (home) => ({ home, directory: join(home, "audit") }))

const layerAt = (home: string, options: Partial<Options> = {}) =>
  Layer.fresh(Audit.layerFile({ mode: "on", ...options })).pipe(
    Layer.provide(BrokerConfig.layer(home)),
    Layer.provide(NodeServices.layer),
  )

/** A server's life: what `work` notes is in the log when it is over. */
const serving = <A, E, R>(
  home: string,
  work: (audit: Audit["Service"]) => Effect.Effect<A, E, R>,
  options?: Partial<Options>,
) => Effect.flatMap(Audit, work).pipe(Effect.provide(layerAt(home, options)))

const note = (home: string, count: number, options?: Partial<Options>) =>
  serving(
    home,
    ({ record }) => Effect.sync(() => Array.from({ length: count }, (_, i) => record(entry({ pid: i })))),
    options,
  )

const writer = (directory: string, maximumBytes: number, keep: number) =>
  AuditFile.writer({ directory, maximumBytes, keep }).pipe(Effect.provide(SecureRandom.layerWebCrypto))

const blockOf = (parts: AuditEntry.Parts) => {
  const block = new Block(1)
  block.push(parts)
  return block
}

/** Looks again and again until it is so. */
const until = <A, E, R>(look: Effect.Effect<A, E, R>, isSo: (a: A) => boolean): Effect.Effect<void, E, R> =>
  Effect.flatMap(look, (a) => (isSo(a) ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), until(look, isSo))))

const newest = (directory: string) =>
  join(
    directory,
    readdirSync(directory)
      .filter((name) => name.startsWith("log-"))
      .toSorted()
      .at(-1) ?? "",
  )

const live = <E>(
  name: string,
  test: () => Effect.Effect<void, E, FileSystem.FileSystem | Path.Path | Scope.Scope>,
  isPossible = true,
) => it.live.skipIf(!isPossible)(name, () => test().pipe(Effect.provide(NodeServices.layer)))

const script = Programs.pathOf("audit-writer")

/** A process that notes so many requests; it is killed when the scope closes. */
const start = (home: string, count: number, under: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [command = "", ...args] = [...under, process.execPath, script, home, String(count)]
      const child = spawn(command, args, {
        env: { ...compileCache, PATH: process.env["PATH"], AUDIT: join(home, "audit") },
        stdio: "pipe",
      })
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      const written = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()))
      let said = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text
      })
      return { child, ended, written, said: () => said }
    }),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      }),
  )

const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0

/** A command that runs another where the audit folder is a small disk of its own, with a filler on it. */
const onSmallDisk = [
  "unshare",
  "-rm",
  "sh",
  "-c",
  'set -e; mkdir "$AUDIT"; mount -t tmpfs -o size=80k,mode=700 tmpfs "$AUDIT"; head -c 40k /dev/zero > "$AUDIT/filler"; exec "$@"',
  "sh",
]

describe.concurrent("the audit log", () => {
  live("has each request, in order, and no token, between the beginning and the end of the server", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* note(home, 10_000)
      const { events, lines, report, requests } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      assert.deepStrictEqual(report.remarks, [])
      assert.deepStrictEqual(
        requests.map(({ pid }) => pid),
        Array.from({ length: 10_000 }, (_, i) => i),
      )
      assert.deepStrictEqual(
        events.map(({ event }) => event),
        ["file", "start", "stop"],
      )
      assert.deepStrictEqual(
        events.map(({ seq }) => seq),
        [1, 2, lines.length],
      )
      assert.strictEqual(requests[0]?.server, process.pid)
      assert.notInclude(lines.join("\n"), "canary")
    }),
  )

  live("has one line for requests that follow each other and are all the same, and says how many they are", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* serving(home, ({ record }) =>
        Effect.sync(() => {
          for (const change of [{}, {}, {}, { pid: 5 }, {}, {}, { micros: 1 }, { at: 1_800_000_000_001 }]) {
            record(entry(change))
          }
        }),
      )
      const { lines, report, requests } = yield* found(directory)
      assert.deepStrictEqual([...report.problems, ...report.remarks], [])
      assert.deepStrictEqual(
        lines.flatMap((line) => {
          const { count, op } = JSON.parse(line)
          return op === undefined ? [] : [count]
        }),
        [3, undefined, 2, undefined, undefined],
      )
      assert.strictEqual(requests.length, 8)
    }),
  )

  live("is of its owner alone", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* note(home, 1)
      assert.strictEqual(statSync(directory).mode & 0o777, 0o700)
      const names = readdirSync(directory)
      assert.deepStrictEqual(names.toSorted(), ["head", "log-0000000000000001.ndjson"])
      for (const name of names) assert.strictEqual(statSync(join(directory, name)).mode & 0o777, 0o600)
    }),
  )

  live("is written soon after a request, not only at the end", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* serving(home, ({ record }) =>
        Effect.gen(function* () {
          for (const count of [1, 2]) {
            record(entry())
            yield* until(found(directory), ({ requests }) => requests.length === count)
          }
        }),
      )
    }),
  )

  live("goes on over its files, of which the newest are kept, and over restarts", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      const options = { maximumBytes: 2_000, keep: 3 }
      for (let i = 0; i < 7; i++) yield* note(home, 8, options)
      const { events, parts, report } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      assert.strictEqual(parts.length, 3)
      assert.isAbove(events[0]?.seq ?? 0, 20)
      const [first] = parts
      rmSync(join(directory, first?.name ?? ""))
      const { report: after } = yield* found(directory)
      assert.match(after.problems[0]?.what ?? "", /^lines \d+ to \d+ are missing before it$/)
    }),
  )

  live("is one chain, though two write it by turns, and begin files by turns", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      const options = { maximumBytes: 3_000, keep: 100 }
      const write = (grant: string) =>
        serving(
          home,
          ({ record }) =>
            Effect.gen(function* () {
              for (let i = 0; i < 5; i++) {
                for (let j = 0; j < 10; j++) record(entry({ grant, pid: i * 10 + j }))
                yield* Effect.sleep("110 millis")
              }
            }),
          options,
        )
      yield* Effect.all([write("one"), write("two")], { concurrency: 2 })
      const { parts, report, requests } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      assert.deepStrictEqual(report.remarks, [])
      assert.isAbove(parts.length, 3)
      for (const grant of ["one", "two"]) {
        const pids = requests.filter((request) => request.grant === grant).map(({ pid }) => pid)
        assert.deepStrictEqual(
          pids,
          Array.from({ length: 50 }, (_, i) => i),
        )
      }
    }),
  )

  live("stays a chain when processes that write it are killed", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      const [patient, ...others] = [yield* start(home, 300), yield* start(home, 100_000), yield* start(home, 100_000)]
      if (patient === undefined) return
      patient.child.stdin.end()
      yield* Effect.promise(() => patient.written)
      for (const { child, ended } of [...others, patient]) {
        child.kill("SIGKILL")
        yield* Effect.promise(() => ended)
      }
      yield* note(home, 1)
      const { report, requests } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      const of = (pid: number | undefined) => requests.filter(({ grant }) => grant === `process ${pid}`)
      assert.deepStrictEqual(
        of(patient.child.pid).map(({ pid }) => pid),
        Array.from({ length: 300 }, (_, i) => i),
      )
    }),
  )

  live("says of a half written line that a crash has left it, and goes on, even after another crash", () =>
    Effect.gen(function* () {
      for (const left of ['{"seq":6,"time":"2026', '{"seq":6,"time":"2026\n{"seq":6']) {
        const { directory, home } = yield* place
        yield* note(home, 2)
        writeFileSync(newest(directory), left, { flag: "a" })
        const before = yield* found(directory)
        assert.deepStrictEqual(before.report.problems, [])
        assert.strictEqual(before.report.remarks.length, 1)
        yield* note(home, 2)
        const after = yield* found(directory)
        assert.deepStrictEqual(after.report.problems, [])
        assert.match(after.report.remarks.join(), /^[^,]+: a line was found half written, left by a crash$/)
        assert.strictEqual(after.requests.length, 4)
        const changed = readFileSync(newest(directory), "utf8").replace(
          '{"seq":6,"time":"2026\n',
          '{"seq":6,"time":"2027\n',
        )
        writeFileSync(newest(directory), changed)
        assert.isNotEmpty((yield* found(directory)).report.problems)
      }
    }),
  )

  live("takes a line for whole of which only the end is missing", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* note(home, 2)
      const head = readFileSync(join(directory, "head"))
      yield* note(home, 2)
      writeFileSync(newest(directory), readFileSync(newest(directory), "utf8").trimEnd())
      writeFileSync(join(directory, "head"), head)
      yield* note(home, 2)
      const { report, requests } = yield* found(directory)
      assert.deepStrictEqual([...report.problems, ...report.remarks], [])
      assert.strictEqual(requests.length, 6)
      // Nor does the line end that is missing begin the next file.
      writeFileSync(newest(directory), readFileSync(newest(directory), "utf8").trimEnd())
      yield* note(home, 1, { maximumBytes: 1 })
      yield* note(home, 1, { maximumBytes: 1 })
      const after = yield* found(directory)
      assert.isAbove(after.parts.length, 1)
      assert.deepStrictEqual([...after.report.problems, ...after.report.remarks], [])
    }),
  )

  live("takes over lines whose writer died before it could say so in the head", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* note(home, 2)
      const head = readFileSync(join(directory, "head"))
      yield* note(home, 2)
      writeFileSync(join(directory, "head"), head)
      assert.deepStrictEqual((yield* found(directory)).report.problems, [])
      yield* note(home, 2)
      const { events, report } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      assert.notInclude(
        events.map(({ event }) => event),
        "cut",
      )
    }),
  )

  live("takes over a file whose writer died before it could name it in the head, or remove the oldest", () =>
    Effect.gen(function* () {
      const { directory } = yield* place
      const appended = Effect.gen(function* () {
        const { append, render } = yield* writer(directory, 1, 2)
        yield* append([], blockOf(render.parts(entry())))
      })
      yield* appended
      yield* appended
      const head = readFileSync(join(directory, "head"))
      const oldest = readdirSync(directory).find((name) => name.startsWith("log-")) ?? ""
      const removed = readFileSync(join(directory, oldest))
      yield* appended
      assert.notInclude(readdirSync(directory), oldest)
      writeFileSync(join(directory, "head"), head)
      writeFileSync(join(directory, oldest), removed)
      assert.deepStrictEqual((yield* found(directory)).report.problems, [])
      yield* appended
      const { parts, report } = yield* found(directory)
      assert.deepStrictEqual(report.problems, [])
      assert.strictEqual(parts.length, 2)
    }),
  )

  live("keeps on saying that its end was cut off, or all of it was removed, or its head", () =>
    Effect.gen(function* () {
      for (const [remove, problems] of [
        [
          (directory: string) => {
            const lines = readFileSync(newest(directory), "utf8").split("\n")
            writeFileSync(newest(directory), `${lines.slice(0, 3).join("\n")}\n`)
          },
          [/lines 4 to 7 are missing after it/, /^lines up to 7 had been written, and were gone/],
        ],
        [
          (directory: string) =>
            writeFileSync(newest(directory), readFileSync(newest(directory), "utf8").slice(0, -30)),
          [/it is not complete/, /it is no line of this log/],
        ],
        [
          (directory: string) => rmSync(newest(directory)),
          [/lines 1 to 7 are missing after it/, /^lines up to 7 had been written, and were gone/],
        ],
        [
          (directory: string) => rmSync(join(directory, "head")),
          [/missing or damaged/, /did not know where the log had ended/],
        ],
        [
          (directory: string) => writeFileSync(join(directory, "head"), "what?"),
          [/missing or damaged/, /did not know where the log had ended/],
        ],
      ] as const) {
        const { directory, home } = yield* place
        yield* note(home, 4)
        remove(directory)
        const before = yield* found(directory)
        assert.match(before.report.problems[0]?.what ?? "", problems[0])
        yield* note(home, 1)
        yield* note(home, 1)
        const after = yield* found(directory)
        assert.match(after.report.problems[0]?.what ?? "", problems[1])
        assert.isAtMost(after.report.problems.length, 2, JSON.stringify(after.report.problems))
        assert.strictEqual(after.requests.at(-1)?.op, "get_token")
      }
    }),
  )

  live("is known to who writes it, even when all of it is removed under its hands", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* serving(home, ({ record }) =>
        Effect.gen(function* () {
          record(entry())
          yield* until(found(directory), ({ requests }) => requests.length === 1)
          rmSync(directory, { recursive: true })
          record(entry())
          yield* until(found(directory), ({ requests }) => requests.length === 1)
        }),
      )
      const { report } = yield* found(directory)
      assert.match(report.problems.map(({ what }) => what).join(), /^lines up to 3 had been written, and were gone/)
    }),
  )

  live("says how many requests are missing when more came than could wait", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      const logs = Logs.make()
      yield* note(home, 30, { capacity: 10 }).pipe(Effect.provide(logs.layer))
      const { report, requests } = yield* found(directory)
      assert.strictEqual(requests.length, 10)
      assert.match(report.remarks.join(), /20 requests were served, but not written/)
      assert.deepStrictEqual(report.problems, [])
      assert.deepStrictEqual(logs.lines, ["Warn The audit log is written, but 20 requests are missing in it."])
    }),
  )

  for (const mode of ["on", "required"] as const) {
    live(`that cannot be written is said once, tried again, and said to work (${mode})`, () =>
      Effect.gen(function* () {
        const { directory, home } = yield* place
        const logs = Logs.make()
        writeFileSync(directory, "in the way")
        yield* serving(
          home,
          ({ mayServe, record }) =>
            Effect.gen(function* () {
              assert.strictEqual(mayServe(), mode === "on")
              record(entry())
              yield* Effect.sleep("1100 millis")
              assert.strictEqual(mayServe(), mode === "on")
              assert.strictEqual(logs.lines.length, 1, logs.lines.join("\n"))
              rmSync(directory)
              yield* until(
                Effect.sync(() => logs.lines.length),
                (count) => count === 2,
              )
              assert.isTrue(mayServe())
            }),
          { mode },
        ).pipe(Effect.provide(logs.layer))
        assert.match(
          logs.lines[0] ?? "",
          /^Error Could not write the audit log \S+\. .*\. (Nothing is|Requests are) served/,
        )
        assert.match(logs.lines[1] ?? "", /^Warn The audit log is written again; nothing is missing/)
        const { events, report, requests } = yield* found(directory)
        assert.deepStrictEqual(report.problems, [])
        assert.deepStrictEqual(
          events.map(({ event }) => event),
          ["file", "start", "stop"],
        )
        assert.strictEqual(requests.length, 1)
      }),
    )
  }

  live(
    "on a full disk has whole lines only, and goes on when there is room",
    () =>
      Effect.gen(function* () {
        const { home } = yield* place
        const { child, said, written } = yield* start(home, 200, onSmallDisk)
        yield* until(Effect.sync(said), (text) => text.includes("Could not write the audit log"))
        const directory = `/proc/${child.pid}/root${join(home, "audit")}`
        const before = yield* found(directory)
        assert.deepStrictEqual([...before.report.problems, ...before.report.remarks], [])
        assert.isBelow(before.requests.length, 200)
        rmSync(join(directory, "filler"))
        yield* until(Effect.sync(said), (text) => text.includes("written again"))
        child.stdin.end()
        yield* Effect.promise(() => written)
        const after = yield* found(directory)
        assert.deepStrictEqual([...after.report.problems, ...after.report.remarks], [])
        assert.deepStrictEqual(
          after.requests.map(({ pid }) => pid),
          Array.from({ length: 200 }, (_, i) => i),
        )
        assert.strictEqual(said().split("Could not write").length, 2)
      }),
    canMount,
  )

  live("that is required stops the server while too many wait, and loses none that were under way", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      yield* serving(
        home,
        ({ mayServe, record }) =>
          Effect.gen(function* () {
            for (let i = 0; i < 10; i++) {
              assert.isTrue(mayServe())
              record(entry())
            }
            assert.isFalse(mayServe())
            record(entry())
            yield* until(Effect.sync(mayServe), (may) => may)
          }),
        { mode: "required", capacity: 10 },
      )
      const { report, requests } = yield* found(directory)
      assert.strictEqual(requests.length, 11)
      assert.deepStrictEqual([...report.problems, ...report.remarks], [])
    }),
  )

  live("that cannot be written when the server ends says how many requests are not in it", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* place
      const logs = Logs.make()
      writeFileSync(directory, "in the way")
      yield* note(home, 3).pipe(Effect.provide(logs.layer))
      assert.strictEqual(logs.lines.at(-1), "Error 3 requests were served, and are not in the audit log.")
    }),
  )

  live("on a disk that no longer answers stops what requires it, and does not keep the server from ending", () =>
    Effect.gen(function* () {
      const { home } = yield* place
      const logs = Logs.make()
      const fs = yield* FileSystem.FileSystem
      let isStuck = false
      const stuck: FileSystem.FileSystem = {
        ...fs,
        makeDirectory: (path, options) => (isStuck ? Effect.never : fs.makeDirectory(path, options)),
      }
      const layer = Audit.layerFile({ mode: "required" }).pipe(
        Layer.provide(BrokerConfig.layer(home)),
        Layer.provide(Layer.succeed(FileSystem.FileSystem, stuck)),
        Layer.provide(NodeServices.layer),
        Layer.fresh,
      )
      yield* Effect.gen(function* () {
        const { mayServe, record } = yield* Audit
        assert.isTrue(mayServe())
        isStuck = true
        record(entry())
        yield* until(Effect.sync(mayServe), (may) => !may)
      }).pipe(Effect.provide(layer), Effect.timeout("15 seconds"), Effect.provide(logs.layer))
      assert.deepStrictEqual(logs.lines, [
        "Error The audit log cannot be written: its disk does not answer. Nothing is served until it can be written.",
        "Error The audit log could not be closed in time: its last lines may be missing.",
      ])
    }),
  )

  live("is written by one at a time, and by nobody while somebody keeps it locked", () =>
    Effect.gen(function* () {
      const { directory } = yield* place
      const { append, render } = yield* writer(directory, 1_000_000, 8)
      const once = append([], blockOf(render.parts(entry())))
      yield* once
      yield* Effect.all(
        Array.from({ length: 20 }, () => once),
        { concurrency: "unbounded" },
      )
      const tryLock = yield* KernelLock.make(process.platform)
      const head = openSync(join(directory, "head"), "r")
      assert.strictEqual(tryLock(head, "exclusive"), "held")
      const { message } = yield* Effect.flip(once)
      assert.match(message, /another process keeps it locked\. Look for a stopped tokenkeep\.$/)
      closeSync(head)
      yield* once
      const { report } = yield* found(directory)
      assert.deepInclude(report, { lines: 23, problems: [] })
    }),
  )
})

describe("an audit log that is off", () => {
  it.effect("notes nothing, and lets everything be served", () =>
    Effect.gen(function* () {
      const { mayServe, record } = yield* Audit
      record(entry())
      assert.isTrue(mayServe())
    }).pipe(Effect.provide(Audit.layerOff)),
  )
})
