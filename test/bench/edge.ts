/**
 * `tokenkeep serve` under load, against the floor: a bare server that keeps its token in memory (floor-server.ts). Each
 * server is a process of its own, and so is the one that asks; servers are measured in turn, so that a machine that gets
 * slower in the meantime gets slower for all of them.
 */
import { fork, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, type Scope } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as ProvidersFile from "../../src/broker/ProvidersFile.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as AccountKey from "../../src/domain/AccountKey.ts"
import { compileCache } from "../support/compileCache.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { frameOf, type Held, type Measured, open, type Order } from "./edge-client.ts"

const rounds = 5
const starts = 7
const idleConnections = 1_000

/** Longer than it takes the collector in a server (collect.ts) to come round twice. */
const settling = 1_000

const account = { provider: "github", bucket: "default" }

const scriptAt = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A way to start a server at a path, and the name it has in the tables. */
interface Variant {
  readonly name: string
  /** What Node runs. */
  readonly commandAt: (path: string) => ReadonlyArray<string>
}

interface Running {
  readonly path: string
  readonly pid: number
  /** How long it took from its start to its first token, in milliseconds. */
  readonly startUp: number
  /**
   * What is in its heap and in its buffers, in bytes, where it says so. RSS alone flatters a process whose heap has room
   * to spare.
   */
  readonly live: () => number
}

const environmentAt = (home: string) => ({ ...compileCache, TOKENKEEP_HOME: home })

/** The data of the first reply of a server. */
const firstReply = async (path: string): Promise<{ readonly access_token: string }> => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = await open(
    path,
    (bytes, begin, end) => resolve(bytes.toString("utf8", begin, end)),
    () => {},
  )
  socket.write(frameOf({ v: 2, id: "first", op: "get_token", payload: account }))
  const reply = JSON.parse(await promise)
  socket.destroy()
  if (reply.ok !== true) throw new Error(`it does not give the token: ${JSON.stringify(reply)}`)
  return reply.data
}

let servers = 0

/** Starts a server and waits until it has answered; it is killed when the scope closes. */
const start = (home: string, { commandAt }: Variant, nodeOptions: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = `${home}/bench-${++servers}.sock`
      const begun = performance.now()
      const child = spawn(process.execPath, [...nodeOptions, ...commandAt(path)], {
        env: environmentAt(home),
        stdio: ["ignore", "pipe", "inherit", ...(nodeOptions.length > 0 ? (["ipc"] as const) : [])],
      })
      let live = 0
      child.on("message", (bytes) => {
        live = Number(bytes)
      })
      return { path, begun, child, live: () => live }
    }),
    ({ child }) =>
      Effect.promise(async () => {
        if (child.exitCode !== null) return
        const { promise, resolve } = Promise.withResolvers<void>()
        child.once("close", () => resolve())
        child.kill("SIGKILL")
        await promise
      }),
  ).pipe(
    Effect.flatMap(({ begun, child, live, path }) =>
      Effect.promise(async (): Promise<Running> => {
        const { promise: listening, reject, resolve } = Promise.withResolvers<void>()
        child.stdout?.once("data", () => resolve()).resume()
        child.once("close", (code) => reject(new Error(`a server ended with ${code}`)))
        await listening
        await firstReply(path)
        return { path, pid: child.pid ?? 0, startUp: performance.now() - begun, live }
      }),
    ),
  )

type Client = (order: Order) => Promise<Measured & Held>

/** The process that asks. It is the same one for all servers. */
const startClient: Effect.Effect<Client, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fork(scriptAt("edge-client.ts"), { env: compileCache })),
  (child) => Effect.sync(() => child.kill("SIGKILL")),
).pipe(
  Effect.map((child) => (order) => {
    const { promise, reject, resolve } = Promise.withResolvers<Measured & Held>()
    const ended = () => reject(new Error("the client ended"))
    child.once("close", ended)
    child.once("message", (answer: Measured & Held) => {
      child.off("close", ended)
      resolve(answer)
    })
    child.send(order)
    return promise
  }),
)

const medianOf = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const column = (cells: ReadonlyArray<string>): string =>
  `  ${(cells[0] ?? "").padEnd(32)}${cells
    .slice(1)
    .map((cell) => cell.padStart(14))
    .join("")}`

/** A provider and a login as `provider add` and `login` leave them. */
const fill = (home: string) =>
  Effect.gen(function* () {
    yield* (yield* Providers).set(account.provider, {
      issuer: "https://id.example",
      clientId: "bench",
      scopes: ["openid", "offline_access"],
      flows: ["device_code"],
      redirectUris: [],
      publicFields: ["account_id", "resource_url"],
    })
    yield* (yield* TokenStore).set(AccountKey.make(account.provider), recordOf("bench"))
  }).pipe(
    Effect.provide(
      Layer.mergeAll(TokenStoreFile.layer, ProvidersFile.layer).pipe(
        Layer.provide(BrokerConfig.layer(home)),
        Layer.provide([NodeServices.layer, SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
      ),
    ),
  )

const serveWith = (name: string, args: ReadonlyArray<string> = []): Variant => ({
  name,
  commandAt: (path) => [scriptAt("../../src/main.ts"), "serve", "--rate-limit", "0", "--socket", path, ...args],
})

/** Ours, in every way that there is to start it. */
const oursIn = Effect.fnUntraced(function* (home: string) {
  const { stdout } = yield* Program.run(["serve", "--help"], environmentAt(home))
  return [
    serveWith("ours"),
    ...(stdout.includes("--audit") ? [serveWith("ours, --audit off", ["--audit", "off"])] : []),
  ]
})

/** The floor, with replies to the byte like ours. */
const floorWith = (name: string, writes: "each" | "chunk", data: object): Variant => ({
  name,
  commandAt: (path) => [scriptAt("floor-server.ts"), path, writes, JSON.stringify({ ...account, data })],
})

interface Loaded {
  readonly name: string
  readonly path: string
  readonly pid: number
  readonly many: Array<Spent>
  readonly one: Array<Measured>
}

/** A measurement, and what the server spent on it. */
type Spent = Measured & { readonly processorTime: number }

/** What a process with all its threads has had of the processors, in microseconds; in steps of a hundredth of a second. */
const processorTimeOf = (pid: number): number => {
  if (!existsSync(`/proc/${pid}/stat`)) return Number.NaN
  const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")
  const [user, system] = fields.split(" ").slice(11)
  return (Number(user) + Number(system)) * 10_000
}

const load = Effect.fnUntraced(function* (client: Client, home: string, variants: ReadonlyArray<Variant>) {
  const loaded: Array<Loaded> = []
  for (const variant of variants) {
    const { path, pid } = yield* start(home, variant)
    loaded.push({ name: variant.name, path, pid, many: [], one: [] })
  }
  const accessToken = Redacted.value(recordOf("bench").token.accessToken)
  const order = { kind: "load", account, accessToken } as const
  const many = { ...order, connections: 16, inFlight: 8 }
  const one = { ...order, connections: 1, inFlight: 1 }
  // Once for long, so that each server is compiled; before each round, only until its connections are.
  for (const { path } of loaded) {
    yield* Effect.promise(() => client({ ...many, path, warmUp: 0, duration: 1_000 }))
    yield* Effect.promise(() => client({ ...one, path, warmUp: 0, duration: 300 }))
  }
  for (let round = 0; round < rounds; round++) {
    for (const each of loaded) {
      const before = processorTimeOf(each.pid)
      const measured = yield* Effect.promise(() => client({ ...many, path: each.path, warmUp: 200, duration: 1_800 }))
      each.many.push({ ...measured, processorTime: (processorTimeOf(each.pid) - before) / measured.replies })
    }
    for (const each of loaded) {
      each.one.push(yield* Effect.promise(() => client({ ...one, path: each.path, warmUp: 100, duration: 800 })))
    }
  }
  const [floor] = loaded
  if (floor === undefined) return
  const rate = ({ perSecond }: Measured) => perSecond
  const p50 = ({ latency }: Measured) => latency.p50
  const p99 = ({ latency }: Measured) => latency.p99
  const cost = ({ processorTime }: Spent) => processorTime
  const of = <M extends Measured>(measured: ReadonlyArray<M>, figure: (one: NoInfer<M>) => number) =>
    medianOf(measured.map(figure))
  /** The median of the ratios of each round: what slows down a whole round is in both halves of its ratio. */
  const ratio = <M extends Measured>(
    ours: ReadonlyArray<M>,
    floor: ReadonlyArray<NoInfer<M>>,
    figure: (one: NoInfer<M>) => number,
  ) => medianOf(ours.flatMap((one, round) => floor.slice(round, round + 1).map((other) => figure(one) / figure(other))))
  yield* Console.log(
    column([
      "16 connections x 8 in flight",
      "a second",
      "ratio",
      "CPU, µs each",
      "ratio",
      "range, 1000/s",
      "client busy",
    ]),
  )
  for (const { many, name } of loaded) {
    const rates = many.map(rate)
    yield* Console.log(
      column([
        name,
        medianOf(rates).toFixed(0),
        ratio(many, floor.many, rate).toFixed(3),
        of(many, cost).toFixed(1),
        ratio(many, floor.many, cost).toFixed(2),
        `${(Math.min(...rates) / 1000).toFixed(0)} to ${(Math.max(...rates) / 1000).toFixed(0)}`,
        `${(of(many, ({ busy }) => busy) * 100).toFixed(0)} %`,
      ]),
    )
  }
  yield* Console.log(column(["1 connection x 1 in flight", "p50, µs", "ratio", "p99, µs", "ratio", "a second"]))
  for (const { name, one } of loaded) {
    yield* Console.log(
      column([
        name,
        of(one, p50).toFixed(1),
        ratio(one, floor.one, p50).toFixed(2),
        of(one, p99).toFixed(1),
        ratio(one, floor.one, p99).toFixed(2),
        of(one, rate).toFixed(0),
      ]),
    )
  }
  for (const { many, name, one } of loaded) {
    const wrong = [...many, ...one].reduce((sum, measured) => sum + measured.wrong, 0)
    if (wrong > 0) yield* Console.log(`  ${name}: ${wrong} replies were wrong, or connections lost`)
  }
}, Effect.scoped)

/** What a process has in memory, in KiB. */
const residentOf = (pid: number): number =>
  Number(/^Rss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1])

const idle = Effect.fnUntraced(function* (client: Client, home: string, variant: Variant) {
  const { live, path, pid } = yield* start(home, variant, ["--expose-gc", "--import", scriptAt("collect.ts")])
  const hold = (connections: number) =>
    Effect.promise(() => client({ kind: "hold", path, connections })).pipe(Effect.tap(Effect.sleep(settling)))
  // What the first connections make it load and compile is not the price of a connection.
  yield* hold(16)
  yield* hold(0)
  const empty = { resident: residentOf(pid), live: live() }
  const { open } = yield* hold(idleConnections)
  return {
    open,
    empty: empty.resident,
    resident: (residentOf(pid) - empty.resident) / open,
    live: (live() - empty.live) / 1024 / open,
  }
}, Effect.scoped)

const idleAll = Effect.fnUntraced(function* (client: Client, home: string, variants: ReadonlyArray<Variant>) {
  if (!existsSync("/proc/self/smaps_rollup")) return
  const found: Array<Effect.Success<ReturnType<typeof idle>>> = []
  for (const variant of variants) found.push(yield* idle(client, home, variant))
  const [floor] = found
  if (floor === undefined) return
  yield* Console.log(column(["idle connections, each in KiB", "open", "RSS", "above floor", "live", "above floor"]))
  for (const [index, { live, open, resident }] of found.entries()) {
    yield* Console.log(
      column([
        variants[index]?.name ?? "",
        `${open} of ${idleConnections}`,
        resident.toFixed(1),
        (resident - floor.resident).toFixed(1),
        live.toFixed(1),
        (live - floor.live).toFixed(1),
      ]),
    )
  }
  const empty = found.map(({ empty }, index) => `${variants[index]?.name ?? ""} ${(empty / 1024).toFixed(1)} MiB`)
  yield* Console.log(`  RSS without connections: ${empty.join("; ")}`)
})

const startAll = Effect.fnUntraced(function* (home: string, variants: ReadonlyArray<Variant>) {
  const times = variants.map((): Array<number> => [])
  // The first of each only fills the compile cache.
  for (let run = 0; run <= starts; run++) {
    for (const [index, variant] of variants.entries()) {
      const { startUp } = yield* Effect.scoped(start(home, variant))
      if (run > 0) times[index]?.push(startUp)
    }
  }
  const floor = medianOf(times[0] ?? [])
  yield* Console.log(column(["start to first token", "ms", "ratio"]))
  for (const [index, { name }] of variants.entries()) {
    const time = medianOf(times[index] ?? [])
    yield* Console.log(column([name, time.toFixed(1), (time / floor).toFixed(2)]))
  }
})

export const edge = () =>
  Effect.gen(function* () {
    const home = yield* TemporaryHome.make
    yield* fill(home)
    const client = yield* startClient
    const ours = yield* oursIn(home)
    const [first = serveWith("ours")] = ours
    const data = yield* Effect.scoped(
      Effect.flatMap(start(home, first), ({ path }) => Effect.promise(() => firstReply(path))),
    )
    const floor = floorWith("floor", "each", data)
    yield* load(client, home, [floor, floorWith("floor, one write per chunk", "chunk", data), ...ours])
    yield* idleAll(client, home, [floor, ...ours])
    yield* startAll(home, [floor, ...ours])
  }).pipe(Effect.scoped, Effect.runPromise)
