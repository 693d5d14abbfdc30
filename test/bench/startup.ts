/**
 * How long a command takes from its start to its end, beside the floor of `node -e 0`: the program as it is published, built
 * for this, in processes that are started in turn. What is printed is the median and the 95th percentile of each, and the
 * median of the ratios to the floor that was measured right before it.
 */
import { spawn, spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { loggedIn } from "../support/LoggedIn.ts"
import { root } from "../support/Programs.ts"
import { hello, request } from "../support/RawPeer.ts"
import { recordOf } from "../support/Records.ts"
import { milliseconds } from "./measure.ts"

const rounds = Number(process.env["ROUNDS"] ?? 40)

interface Command {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly stdin?: string
  readonly env?: { readonly [name: string]: string }
}

const percentile = (times: ReadonlyArray<number>, share: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN

/** How long a process takes, in milliseconds. It must end well. */
const timeOf = ({ args, env = {}, name, stdin = "" }: Command): number => {
  const begun = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env: { PATH: "/usr/bin:/bin", ...env }, input: stdin })
  const time = performance.now() - begun
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr.toString()}`)
  return time
}

/** Starts a server, and returns when it has handed out its first token; `stop` ends it. */
const serve = async (program: string, env: { readonly [name: string]: string }, socket: string) => {
  const begun = performance.now()
  const child = spawn(process.execPath, [program, "serve", "--socket", socket], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  })
  const { promise: listening, reject, resolve } = Promise.withResolvers<void>()
  child.stdout.once("data", () => resolve()).resume()
  child.once("close", () => reject(new Error("the server has ended")))
  await listening
  const first = Promise.withResolvers<void>()
  const peer = connect(socket, () => {
    peer.write(hello)
    peer.write(request("1", "get_token", { provider: "example" }))
  })
  let said = ""
  peer.setEncoding("latin1").on("data", (text: string) => {
    said += text
    if (said.includes("access_token")) first.resolve()
  })
  await first.promise
  const time = performance.now() - begun
  peer.destroy()
  const ended = new Promise((done) => child.once("close", done))
  const stop = () => {
    child.kill("SIGTERM")
    return ended
  }
  return { time, stop }
}

/** What a process says of itself: when Node was ready, when its own code began and was loaded, and when it was done. */
const witness = `
const { bootstrapComplete } = performance.nodeTiming
const begun = performance.now()
let loaded = begun
process.on("exit", () => process.stderr.write(JSON.stringify([bootstrapComplete, begun, loaded, performance.now()])))
await import("./dist/bundle/tokenkeep.js")
loaded = performance.now()
`

const column = (cells: ReadonlyArray<string>): string =>
  `  ${(cells[0] ?? "").padEnd(34)}${cells
    .slice(1)
    .map((cell) => cell.padStart(11))
    .join("")}`

export const startup = async () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-bench-"))
  const dist = join(folder, "dist")
  const home = join(folder, "home")
  const built = spawnSync(process.execPath, [join(root, "test/build/main.ts"), dist], { stdio: "inherit" })
  if (built.status !== 0) throw new Error("it was not built")
  copyFileSync(join(root, "package.json"), join(folder, "package.json"))
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  await Effect.runPromise(loggedIn(home, { example: recordOf("bench") }))
  writeFileSync(
    join(home, "config.json"),
    JSON.stringify({
      providers: {
        example: { issuer: "https://id.example", clientId: "bench", scopes: ["openid"], flows: ["device_code"] },
      },
      hosts: { "git.example": "example" },
    }),
  )
  writeFileSync(join(folder, "empty.js"), "export {}\n")
  writeFileSync(join(folder, "witness.js"), witness)

  const program = join(dist, "bundle/tokenkeep.js")
  const socket = join(home, "bench.sock")
  const store = { TOKENKEEP_HOME: home, HOME: home }
  const asking = { ...store, TOKENKEEP_SOCKET: socket }
  const ours = (name: string, args: ReadonlyArray<string>, more: Partial<Command> = {}): Command => ({
    name,
    args: [program, ...args],
    env: store,
    ...more,
  })
  const git = "protocol=https\nhost=git.example\n\n"
  const info = JSON.stringify({
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: { cluster: { server: "https://git.example" } },
  })
  const { stop } = await serve(program, store, socket)
  const floor: Command = { name: "node -e 0", args: ["-e", "0"] }
  const commands: ReadonlyArray<Command> = [
    floor,
    { name: "an empty file", args: [join(folder, "empty.js")] },
    ours("token, from the store", ["token", "example"]),
    ours("token, through a socket", ["token", "example"], { env: asking }),
    ours("helper git, from the store", ["helper", "git", "get"], { stdin: git }),
    ours("helper git, through a socket", ["helper", "git", "get"], { stdin: git, env: asking }),
    ours("helper docker", ["helper", "docker", "get"], { stdin: "git.example" }),
    ours("helper kube", ["helper", "kube", "example"], { env: { ...store, KUBERNETES_EXEC_INFO: info } }),
    ours("helper api-key", ["helper", "api-key", "example"]),
    ours("--version", ["--version"]),
    ours("--help", ["--help"]),
    ours("status", ["status"]),
    ours("token, by the whole program", ["token", "example", "--no-refresh"]),
    { name: "token, from the sources", args: [join(root, "src/main.ts"), "token", "example"], env: store },
  ]
  const times = commands.map((): Array<{ readonly time: number; readonly ratio: number }> => [])
  // The first of each only fills the compile cache.
  for (let round = 0; round <= rounds; round++) {
    for (const [at, command] of commands.entries()) {
      const before = timeOf(floor)
      const time = timeOf(command)
      if (round > 0) times[at]?.push({ time, ratio: time / before })
    }
  }
  console.log(column(["start to end", "p50", "p95", "ratio"]))
  for (const [at, { name }] of commands.entries()) {
    const measured = times[at] ?? []
    const all = measured.map(({ time }) => time)
    const ratio = percentile(
      measured.map(({ ratio }) => ratio),
      0.5,
    )
    console.log(
      column([name, milliseconds(percentile(all, 0.5)), milliseconds(percentile(all, 0.95)), ratio.toFixed(2)]),
    )
  }
  await stop()

  const parts: Array<ReadonlyArray<number>> = []
  for (let round = 0; round <= rounds; round++) {
    const { stderr } = spawnSync(process.execPath, [join(folder, "witness.js"), "token", "example"], { env: store })
    if (round > 0) parts.push(JSON.parse(stderr.toString()))
  }
  const until = (at: number) =>
    percentile(
      parts.map((marks) => (marks[at] ?? 0) - (marks[at - 1] ?? 0)),
      0.5,
    )
  const [boot, begin, load, rest] = [0, 1, 2, 3].map((at) => milliseconds(until(at)))
  console.log(
    `  token from the store, in its process: Node ${boot}; to its first line ${begin}; loading it ${load}; reading and saying the token ${rest}`,
  )

  const servers = [program, join(root, "src/main.ts")].map((each) => ({ program: each, times: Array<number>() }))
  for (let round = 0; round <= 7; round++) {
    for (const [at, each] of servers.entries()) {
      const started = await serve(each.program, store, join(home, `serve-${at}.sock`))
      await started.stop()
      if (round > 0) each.times.push(started.time)
    }
  }
  const [bundled, sources] = servers.map((each) => milliseconds(percentile(each.times, 0.5)))
  console.log(`  serve, from its start to its first token: ${bundled}; from the sources ${sources}`)
  rmSync(folder, { recursive: true })
}
