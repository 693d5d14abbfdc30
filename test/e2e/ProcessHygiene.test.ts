/**
 * What other programs can get out of the processes that hold refresh tokens, without asking them.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import * as OtherUser from "../support/OtherUser.ts"
import * as Program from "../support/Program.ts"
import * as RawPeer from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const isRoot = process.getuid?.() === 0
/** Root can see into everything, so there it has to be somebody else. */
const someone = isRoot ? OtherUser.others[0] : (process.getuid?.() ?? -1)
const asSomeone = isRoot ? OtherUser.as(someone) : []
const missing = isRoot ? OtherUser.missing : OtherUser.python === undefined ? "skipped: no python3" : undefined
const isLinux = process.platform === "linux"
const script = fileURLToPath(new URL("../support/reach_into.py", import.meta.url))

/** What a program of that user can see of a process. */
const seen = (pid: number): { readonly uid: number; readonly worked: ReadonlyArray<string> } => {
  const [command = "", ...args] = [...asSomeone, OtherUser.python ?? "", "-I", "-S", script, String(pid)]
  const { stderr, stdout } = spawnSync(command, args, { encoding: "utf8" })
  assert.strictEqual(stderr, "")
  return JSON.parse(stdout)
}

/** A process of that user which does nothing to protect itself. */
const careless = Effect.acquireRelease(
  Effect.callback<number>((resume) => {
    const child = spawn(process.execPath, ["-e", "console.log(1); setInterval(() => {}, 60_000)"], {
      ...(isRoot && { uid: someone, gid: someone }),
      env: { NAME: "value" },
    })
    child.stdout.once("data", () => resume(Effect.succeed(child.pid ?? -1)))
  }),
  (pid) => Effect.sync(() => process.kill(pid, "SIGKILL")),
)

const listening = (host: Program.Running) => Effect.promise(() => host.said("stdout", /Listening/))

/** Greets a host, as its user, to see that it still works. */
const greet = (path: string) => Effect.promise(() => RawPeer.greeted(path).then((peer) => peer.leave()))

const coresOf = (pid: number) => /^Max core file size +(\S+) +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))

/** A browser that notes the descriptors that it was given. */
const browser = (notes: string) => `#!${OtherUser.python}
import json, os
def target(name):
    try:
        return os.readlink("/proc/self/fd/" + name)
    except OSError:
        return None
given = {name: target(name) for name in os.listdir("/proc/self/fd")}
with open(${JSON.stringify(notes)} + ".new", "w") as file:
    json.dump({name: found for name, found in given.items() if found}, file)
os.rename(${JSON.stringify(notes)} + ".new", ${JSON.stringify(notes)})
`

/** Has a descriptor that the programs after it inherit. */
const withDescriptor = (number: number) => [
  OtherUser.python ?? "",
  "-c",
  `import os, sys; os.dup2(1, ${number}); os.execvp(sys.argv[1], sys.argv[1:])`,
]

describe("a process that holds refresh tokens", () => {
  it.live.skipIf(!isLinux || missing !== undefined)(
    `shows nothing of itself to other programs of its user (${missing ?? "who is not root"})`,
    ({ skip }) =>
      Effect.gen(function* () {
        const possible = seen(yield* careless)
        if (possible.worked.length === 0) return skip("skipped: no process can see into another here anyway")
        assert.strictEqual(possible.uid, someone)
        const home = yield* TemporaryHome.make
        if (isRoot) OtherUser.give(home, someone)
        const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
        const host = yield* Program.start(["serve"], environment, asSomeone)
        yield* listening(host)
        assert.deepStrictEqual(seen(host.pid), { uid: someone, worked: [] })
        // It does for itself what it did before.
        host.kill("SIGTERM")
        const stdout = `Listening on ${home}/keep/host.sock\n`
        assert.deepStrictEqual(yield* Effect.promise(() => host.ended), { code: 0, stdout, stderr: "" })
      }),
  )

  it.live("does not let its debugger be started, and leaves no core", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const host = yield* Program.start(["serve"], { TOKENKEEP_HOME: home, HOME: home })
      yield* listening(host)
      if (isLinux) assert.deepStrictEqual(coresOf(host.pid)?.slice(1), ["0", "0"])
      host.kill("SIGUSR1")
      yield* greet(`${home}/host.sock`)
      host.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => host.ended)).stderr, "")
    }),
  )

  it.live.skipIf(!isLinux || OtherUser.python === undefined)(
    "passes none of its descriptors to the browser that it opens (skipped without /proc and python3)",
    () =>
      Effect.gen(function* () {
        const server = yield* AuthorizationServer.start()
        const home = yield* TemporaryHome.make
        const notes = `${home}/notes`
        writeFileSync(`${home}/browser`, browser(notes), { mode: 0o755 })
        const environment = {
          TOKENKEEP_HOME: `${home}/keep`,
          HOME: home,
          PATH: "/usr/bin:/bin",
          BROWSER: `${home}/browser`,
        }
        const redirect = ["--redirect-uri", AuthorizationServer.loopbackRedirectUri]
        const provider = ["--issuer", server.issuer, "--client-id", server.clientId, "--flow", "browser", ...redirect]
        yield* Program.run(["provider", "add", "demo", ...provider], environment)
        const login = yield* Program.start(["login", "demo"], environment, withDescriptor(251))
        yield* Effect.suspend(() => (existsSync(notes) ? Effect.void : Effect.fail("not opened yet"))).pipe(
          Effect.retry(Schedule.spaced("10 millis")),
          Effect.timeout("10 seconds"),
        )
        const given: { readonly [descriptor: string]: string } = JSON.parse(readFileSync(notes, "utf8"))
        assert.deepStrictEqual(Object.keys(given).toSorted(), ["0", "1", "2"])
        assert.deepStrictEqual(coresOf(login.pid)?.slice(1), ["0", "0"])
      }),
  )
})
