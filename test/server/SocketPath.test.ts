/**
 * Where a socket may be made, and where not: what is in the way is left alone, and nobody else gets in, not even between
 * the making of the socket and the closing of it to others.
 */
import { spawn, spawnSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { createServer, type Server } from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Path, Result, Schedule, Scope } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import { Admission } from "../../src/server/Admission.ts"
import { Audit } from "../../src/server/Audit.ts"
import { PeerCredentials } from "../../src/server/PeerCredentials.ts"
import * as SocketPath from "../../src/server/SocketPath.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import { greeted } from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const isRoot = process.getuid?.() === 0
const somebodyElse = 4711

/** The files of this machine, but for what is said. */
const filesLike = (change: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, ...change(fs) })),
  ).pipe(Layer.provide(NodeServices.layer))

/** Says of every folder that it is closed to others, so that somebody else can try the socket in it. */
const pretending = filesLike((fs) => {
  const closed = (info: FileSystem.File.Info) =>
    info.type === "Directory" ? { ...info, mode: info.mode & ~0o077 } : info
  return {
    stat: (path) => Effect.map(fs.stat(path), closed),
    lstat: (path) => Effect.map(fs.lstat(path), closed),
  }
})

const serve = (path: string, files: Layer.Layer<FileSystem.FileSystem> = NodeServices.layer) =>
  Layer.build(
    Layer.fresh(UnixServer.layer({ path })).pipe(
      Layer.provide([
        Layer.mock(Broker, {}),
        Admission.layerUser(process.getuid?.() ?? -1),
        Audit.layerOff,
        PeerCredentials.layer,
        files,
        Path.layer,
      ]),
    ),
  )

/** Whether somebody who speaks the protocol is there. */
const answers = (path: string) =>
  Effect.promise(() =>
    greeted(path).then(
      (peer) => {
        peer.leave()
        return true
      },
      () => false,
    ),
  )

/** Serves for a moment: what is wrong with the path, or nothing. */
const attempt = (path: string) =>
  Effect.gen(function* () {
    yield* serve(path)
    assert.isTrue(yield* answers(path))
    assert.strictEqual(lstatSync(path).mode & 0o777, 0o600)
  }).pipe(Effect.scoped, Effect.match({ onFailure: ({ message }) => message, onSuccess: () => "" }))

/** Somebody listens there, who is not a tokenkeep. */
const listening = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((peer) => peer.destroy())
      server.listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close()),
  )

/** What a server leaves that was killed: it is made elsewhere and moved, because Node removes what it has made. */
const leaveDeadSocket = Effect.fnUntraced(function* (path: string) {
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* listening(`${path}.made`)
      renameSync(`${path}.made`, path)
    }),
  )
  assert.isTrue(lstatSync(path).isSocket())
})

interface Case {
  readonly what: string
  /** Prepares a folder of ours, 0700; where the socket should be. */
  readonly prepare: (home: string) => Effect.Effect<string, never, Scope.Scope>
  /** What the refusal says; nothing if there should be none. */
  readonly refusal?: RegExp
  readonly needsRoot?: true
}

const socketIn = (folder: string) => `${folder}/host.sock`

const prepared = (prepare: (home: string) => string) => (home: string) => Effect.sync(() => prepare(home))

const folderOf =
  (mode: number, owner?: number) =>
  (home: string): string => {
    mkdirSync(`${home}/run`)
    chmodSync(`${home}/run`, mode)
    if (owner !== undefined) chownSync(`${home}/run`, owner, owner)
    return socketIn(`${home}/run`)
  }

/** A private folder in another one. */
const below =
  (mode: number, owner?: number, folder: "made" | "to be made" = "made") =>
  (home: string): string => {
    mkdirSync(`${home}/parent`)
    if (folder === "made") mkdirSync(`${home}/parent/run`, { mode: 0o700 })
    chmodSync(`${home}/parent`, mode)
    if (owner !== undefined) chownSync(`${home}/parent`, owner, owner)
    return socketIn(`${home}/parent/run`)
  }

const folders: ReadonlyArray<Case> = [
  { what: "a folder of ours", prepare: prepared(folderOf(0o700)) },
  { what: "a folder that is to be made", prepare: prepared((home) => socketIn(`${home}/one/two`)) },
  {
    what: "a folder that is a link",
    prepare: prepared((home) => {
      mkdirSync(`${home}/real`, { mode: 0o700 })
      symlinkSync(`${home}/real`, `${home}/link`)
      return socketIn(`${home}/link`)
    }),
    refusal: /not a real folder/,
  },
  {
    what: "a folder that is a link to nowhere",
    prepare: prepared((home) => {
      symlinkSync(`${home}/nowhere`, `${home}/link`)
      return socketIn(`${home}/link`)
    }),
    refusal: /folder/,
  },
  {
    what: "a folder in a link of ours",
    prepare: prepared((home) => {
      mkdirSync(`${home}/real/run`, { recursive: true, mode: 0o700 })
      symlinkSync(`${home}/real`, `${home}/link`)
      return socketIn(`${home}/link/run`)
    }),
  },
  {
    what: "a folder in a link that leads where others can write",
    prepare: prepared((home) => {
      below(0o777)(home)
      symlinkSync(`${home}/parent`, `${home}/link`)
      return socketIn(`${home}/link/run`)
    }),
    refusal: /./,
  },
  {
    what: "a folder of somebody else",
    prepare: prepared(folderOf(0o700, somebodyElse)),
    refusal: /not yours/,
    needsRoot: true,
  },
  { what: "a folder that all may enter", prepare: prepared(folderOf(0o777)), refusal: /others may enter/ },
  { what: "a folder that all may enter, sticky", prepare: prepared(folderOf(0o1777)), refusal: /others may enter/ },
  { what: "a folder that its group may enter", prepare: prepared(folderOf(0o770)), refusal: /others may enter/ },
  { what: "a folder that all may look into", prepare: prepared(folderOf(0o755)), refusal: /others may enter/ },
  {
    what: "a folder in one where all may write",
    prepare: prepared(below(0o777)),
    refusal: /./,
  },
  {
    what: "a folder in one where its group may write",
    prepare: prepared(below(0o770)),
    refusal: /./,
  },
  {
    what: "a folder to be made in one where all may write",
    prepare: prepared(below(0o777, undefined, "to be made")),
    refusal: /./,
  },
  {
    what: "a folder in one of somebody else",
    prepare: prepared(below(0o755, somebodyElse)),
    refusal: /./,
    needsRoot: true,
  },
  { what: "a folder in one like /tmp", prepare: prepared(below(0o1777)) },
  { what: "a folder in one where others may look", prepare: prepared(below(0o755)) },
]

const things: ReadonlyArray<Case> = [
  {
    what: "a file",
    prepare: prepared((home) => {
      writeFileSync(socketIn(home), "precious")
      return socketIn(home)
    }),
    refusal: /not a socket/,
  },
  {
    what: "a pipe",
    prepare: prepared((home) => {
      assert.strictEqual(spawnSync("mkfifo", [socketIn(home)]).status, 0)
      return socketIn(home)
    }),
    refusal: /not a socket/,
  },
  {
    what: "a folder",
    prepare: prepared((home) => {
      mkdirSync(socketIn(home))
      return socketIn(home)
    }),
    refusal: /not a socket/,
  },
  {
    what: "a link to nowhere",
    prepare: prepared((home) => {
      symlinkSync(`${home}/nowhere`, socketIn(home))
      return socketIn(home)
    }),
    refusal: /not a socket/,
  },
  {
    what: "a link to a file",
    prepare: prepared((home) => {
      writeFileSync(`${home}/file`, "precious")
      symlinkSync(`${home}/file`, socketIn(home))
      return socketIn(home)
    }),
    refusal: /not a socket/,
  },
  {
    what: "a link to a socket that is alive",
    prepare: (home) =>
      Effect.map(listening(`${home}/alive.sock`), () => {
        symlinkSync(`${home}/alive.sock`, socketIn(home))
        return socketIn(home)
      }),
    refusal: /not a socket/,
  },
  {
    what: "a link to a socket that is dead",
    prepare: (home) =>
      Effect.map(leaveDeadSocket(`${home}/dead.sock`), () => {
        symlinkSync(`${home}/dead.sock`, socketIn(home))
        return socketIn(home)
      }),
    refusal: /not a socket/,
  },
  {
    what: "a socket that is alive",
    prepare: (home) => Effect.as(listening(socketIn(home)), socketIn(home)),
    refusal: /listening there/,
  },
  { what: "a socket that is dead", prepare: (home) => Effect.as(leaveDeadSocket(socketIn(home)), socketIn(home)) },
  {
    what: "a dead socket of somebody else",
    prepare: (home) =>
      Effect.map(leaveDeadSocket(socketIn(home)), () => {
        chownSync(socketIn(home), somebodyElse, somebodyElse)
        return socketIn(home)
      }),
    needsRoot: true,
    // In a folder of ours nobody else can have put it there; who did had our rights. Either answer is safe.
    refusal: /^$|./,
  },
]

/** What is there before and after, so that nothing was taken away or changed. */
const look = (path: string): unknown => {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there === undefined) return undefined
  return [there.ino, there.mode, there.uid, there.isFile() ? readFileSync(path, "utf8") : ""]
}

const table = (cases: ReadonlyArray<Case>) => {
  for (const { needsRoot, prepare, refusal, what } of cases) {
    const isSkipped = needsRoot === true && !isRoot
    const reason = isSkipped ? " (skipped: only root can give files away)" : ""
    it.live.skipIf(isSkipped)(what + reason, () =>
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        const path = yield* prepare(home)
        const before = look(path)
        const said = yield* attempt(path)
        if (refusal === undefined) return assert.strictEqual(said, "")
        assert.match(said, refusal)
        if (said !== "") {
          assert.deepStrictEqual(look(path), before)
          assert.include(said, path)
        }
      }).pipe(Effect.scoped),
    )
  }
}

describe("a socket is made, or refused, in", () => table(folders))

describe("a socket is made, or refused, where there is", () => table(things))

describe("the path of a socket", () => {
  it.live("may be 107 bytes long, and not 108", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const longest = process.platform === "linux" ? 107 : 103
      const ofLength = (bytes: number) => `${home}/${"x".repeat(bytes - Buffer.byteLength(home) - 1)}`
      assert.strictEqual(yield* attempt(ofLength(longest)), "")
      assert.match(yield* attempt(ofLength(longest + 1)), /longer than \d+ bytes.*--socket/)
      // Bytes, not characters.
      const keys = `${home}/${"\u{1f511}".repeat(25)}`
      assert.match(yield* attempt(keys), /longer than/)
      assert.deepStrictEqual([existsSync(ofLength(longest + 1)), existsSync(keys)], [false, false])
    }),
  )

  it.live("may be relative, and stays where it was", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const before = process.cwd
      // A worker of the test runner cannot change its folder; what is asked for it can be changed.
      process.cwd = () => home
      const { path } = yield* Effect.gen(function* () {
        const context = yield* serve("run/host.sock")
        return yield* Effect.provide(UnixServer, context)
      }).pipe(
        Effect.scoped,
        Effect.ensuring(
          Effect.sync(() => {
            process.cwd = before
          }),
        ),
      )
      assert.strictEqual(path, `${home}/run/host.sock`)
      assert.isFalse(existsSync(path))
    }),
  )

  it.live("is free again after the server has ended", () =>
    Effect.gen(function* () {
      const path = socketIn(yield* TemporaryHome.make)
      for (let count = 0; count < 5; count++) {
        assert.strictEqual(yield* attempt(path), "")
        assert.isFalse(existsSync(path))
      }
    }),
  )
})

/** Tries to connect without a pause, as somebody else, until a file appears; then says how often it got in. */
const intruder = (path: string, over: string) => `
import os, socket
os.setgid(${somebodyElse})
os.setuid(${somebodyElse})
print("ready", flush=True)
entered = refused = 0
while not os.path.exists(${JSON.stringify(over)}):
  for _ in range(50):
    peer = socket.socket(socket.AF_UNIX)
    try:
      peer.connect(${JSON.stringify(path)})
      entered += 1
    except PermissionError:
      refused += 1
    except OSError:
      pass
    peer.close()
print("entered", entered, "refused", refused, flush=True)
`

const hasPython = spawnSync("python3", ["--version"]).status === 0

describe("a socket at its birth", () => {
  it.live.skipIf(!isRoot || !hasPython)(
    "lets nobody else in, whatever the umask (skipped without root, who can be somebody else, and python3)",
    () =>
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        chmodSync(home, 0o711)
        mkdirSync(`${home}/run`)
        chmodSync(`${home}/run`, 0o711)
        const path = socketIn(`${home}/run`)
        const python = yield* Effect.acquireRelease(
          Effect.sync(() => {
            const script = intruder(path, `${home}/run/over`)
            return spawn("python3", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] })
          }),
          (child) => Effect.sync(() => child.kill("SIGKILL")),
        )
        let output = ""
        python.stdout.setEncoding("utf8").on("data", (text: string) => {
          output += text
        })
        const said = (pattern: RegExp) =>
          Effect.callback<void>((resume) => {
            const hear = () => {
              if (pattern.test(output)) resume(Effect.void)
            }
            python.stdout.on("data", hear)
            hear()
          })
        yield* said(/ready/)
        const umask = process.umask(0)
        yield* Effect.gen(function* () {
          for (let count = 0; count < 100; count++) yield* Effect.scoped(serve(path, pretending))
          // Long enough to be found.
          yield* Effect.scoped(Effect.andThen(serve(path, pretending), Effect.sleep("100 millis")))
        }).pipe(Effect.ensuring(Effect.sync(() => process.umask(umask))))
        writeFileSync(`${home}/run/over`, "")
        yield* said(/refused \d+\n/)
        assert.match(output, /entered 0 refused [1-9]/)
      }).pipe(Effect.timeout("10 seconds")),
  )
})

describe("two servers", () => {
  /** They begin together; how each of them fared, while those live that do, and whether somebody answers. */
  const race = (path: string, ...files: ReadonlyArray<Layer.Layer<FileSystem.FileSystem>>) =>
    Effect.gen(function* () {
      const scopes = yield* Effect.forEach(files, () => Scope.make())
      const results = yield* Effect.forEach(
        files,
        (layer, index) => Effect.result(Scope.provide(serve(path, layer), scopes[index] ?? Scope.makeUnsafe())),
        { concurrency: "unbounded" },
      )
      // Who was refused goes, and must not take with it what is another's.
      for (const [index, result] of results.entries()) {
        const scope = scopes[index]
        if (Result.isFailure(result) && scope !== undefined) yield* Scope.close(scope, Exit.void)
      }
      const isAnswered = yield* answers(path)
      for (const scope of scopes) yield* Scope.close(scope, Exit.void)
      return { alive: results.filter(Result.isSuccess).length, isAnswered }
    })

  /** A disk on which taking something away takes time. */
  const slowly = (wait: Effect.Effect<void>) =>
    filesLike((fs) => ({ remove: (path, options) => Effect.andThen(wait, fs.remove(path, options)) }))

  const rounds = Effect.fnUntraced(function* (prepare: (path: string) => Effect.Effect<void>) {
    const home = yield* TemporaryHome.make
    const seen: Array<{ readonly alive: number; readonly isAnswered: boolean }> = []
    for (let count = 0; count < 20; count++) {
      const path = socketIn(`${home}/${count}`)
      mkdirSync(`${home}/${count}`, { mode: 0o700 })
      yield* prepare(path)
      seen.push(yield* race(path, slowly(Effect.sleep(count % 5)), slowly(Effect.sleep((count * 3) % 7))))
    }
    assert.deepStrictEqual(
      seen,
      seen.map(() => ({ alive: 1, isAnswered: true })),
    )
  })

  it.live("that find a dead socket together: one lives, and it can be reached", () => rounds(leaveDeadSocket))

  it.live("that find nothing together: one lives, and it can be reached", () => rounds(() => Effect.void))

  it.live("of which one is slow to take away the dead socket", () =>
    Effect.gen(function* () {
      const path = socketIn(yield* TemporaryHome.make)
      yield* leaveDeadSocket(path)
      // Until the other one lives, or can be seen to wait.
      const isThere = Effect.sync(() => existsSync(path)).pipe(
        Effect.repeat({ schedule: Schedule.spaced("5 millis"), while: (there) => there }),
      )
      const other = Effect.andThen(
        isThere,
        Effect.repeat(answers(path), { schedule: Schedule.spaced("5 millis"), while: (there) => !there }),
      )
      const last = slowly(Effect.asVoid(Effect.timeoutOption(other, "200 millis")))
      assert.deepStrictEqual(yield* race(path, last, NodeServices.layer), { alive: 1, isAnswered: true })
    }),
  )

  it.live("at a path whose socket somebody took away: the second has to wait for the end of the first", () =>
    Effect.gen(function* () {
      const path = socketIn(yield* TemporaryHome.make)
      const first = yield* Scope.make()
      yield* Scope.provide(serve(path), first)
      rmSync(path)
      assert.include((yield* Effect.flip(serve(path))).message, "another tokenkeep")
      yield* Scope.close(first, Exit.void)
      yield* serve(path)
      assert.isTrue(yield* answers(path))
    }),
  )
})

describe("what servers have left", () => {
  it.live("is cleared away, but for what lives, is new, or is something else", () =>
    Effect.gen(function* () {
      const folder = yield* TemporaryHome.make
      const own = (name: string) => `${folder}/${name}`
      yield* serve(`${own("alive")}/broker.sock`)
      for (const name of ["dead", "unborn", "young"]) mkdirSync(own(name), { mode: 0o700 })
      for (const name of ["dead", "young"]) yield* leaveDeadSocket(`${own(name)}/broker.sock`)
      writeFileSync(`${own("dead")}/broker.sock.lock`, "")
      writeFileSync(own("file"), "")
      for (const name of ["alive", "dead", "unborn", "file"]) utimesSync(own(name), 0, 0)
      const sweep = SocketPath.sweep(folder, "broker.sock").pipe(Effect.provide(NodeServices.layer))
      yield* sweep
      assert.deepStrictEqual(readdirSync(folder), ["alive", "file", "young"])
      assert.isTrue(yield* answers(`${own("alive")}/broker.sock`))
      yield* SocketPath.removeEmpty(folder)
      assert.isTrue(existsSync(folder))
    }),
  )
})
