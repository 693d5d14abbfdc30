/**
 * Many processes that share a store and want the same expired token at the same time, against an authorization server
 * that ends a login when one of its refresh tokens is used twice.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { dirname } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { Clock, DateTime, Effect, Layer, Option } from "effect"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import * as LoginState from "../../src/domain/LoginState.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import { compileCache } from "./compileCache.ts"
import * as Program from "./Program.ts"
import * as Programs from "./Programs.ts"
import * as TemporaryHome from "./TemporaryHome.ts"

const script = Programs.pathOf("refresh-worker")

/** What one process says of one round. */
export interface Report {
  readonly account: string
  /** Of each token that its fibers got, the hash. */
  readonly tokens: ReadonlyArray<string>
  readonly failures: ReadonlyArray<string>
  /** How many steps it has taken since it began. */
  readonly steps: number
}

export interface Worker {
  readonly pid: number
  /** Has so many fibers ask for the account's token. None if the process died before it could say. */
  readonly ask: (account: AccountKey, fibers: number) => Promise<Report | undefined>
  readonly kill: () => void
  readonly ended: Promise<void>
  /** What it said last on stderr. */
  readonly lastWords: () => string
}

/** Starts a process; it is killed when the scope closes. */
export const startWorker = (home: string, environment: { readonly [name: string]: string } = {}) =>
  Effect.acquireRelease(
    Effect.promise(() => begin(home, environment)),
    (worker) =>
      Effect.promise(() => {
        worker.kill()
        return worker.ended
      }),
  )

const begin = async (home: string, environment: { readonly [name: string]: string }): Promise<Worker> => {
  const child = spawn(process.execPath, [script], {
    env: { ...compileCache, TOKENKEEP_HOME: home, ...environment },
    stdio: "pipe",
  })
  const lines = linesOf(child)
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  child.stdin.on("error", () => {})
  if ((await lines()) !== "ready") throw new Error(`the worker did not begin: ${errors}`)
  return {
    pid: child.pid ?? 0,
    ask: async (account, fibers) => {
      child.stdin.write(`${account} ${fibers}\n`)
      const line = await lines()
      return line === undefined ? undefined : JSON.parse(line)
    },
    kill: () => void child.kill("SIGKILL"),
    ended,
    lastWords: () => errors.trim().split("\n").at(-1) ?? "",
  }
}

/** The lines of a process's stdout, one for each call; undefined after its end. */
const linesOf = ({ stdout }: ChildProcess) => {
  const waiting: Array<(line: string | undefined) => void> = []
  const said: Array<string | undefined> = []
  const give = (line: string | undefined) => {
    const first = waiting.shift()
    if (first === undefined) said.push(line)
    else first(line)
  }
  let rest = ""
  stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n")
    rest = parts.pop() ?? ""
    parts.forEach(give)
  })
  stdout?.on("close", () => {
    give(undefined)
    said.push(undefined)
  })
  return () =>
    new Promise<string | undefined>((resolve) => {
      const line = said.length > 0 ? said[0] : null
      if (line === null) return waiting.push(resolve)
      if (line !== undefined) said.shift()
      return resolve(line)
    })
}

/** A login whose access token expired long ago, in the store. */
export const expiredLogin = Effect.fnUntraced(function* (bucket: string) {
  const server = yield* ScriptedProvider
  const store = yield* TokenStore
  const account = Account.make(server.provider.name, bucket)
  const { family, token } = yield* server.login
  const long = DateTime.makeUnsafe(0)
  yield* store.set(account, AccountRecord.fromLogin({ ...token, expiresAt: long }, long))
  return { account, family }
})

/** Makes the server known to every process. */
export const configure = Effect.gen(function* () {
  const server = yield* ScriptedProvider
  const providers = yield* Providers
  const { name, secret: _, ...record } = server.provider
  yield* providers.set(name, record)
})

/** What the server saw of a login. */
export const familyOf = (number: number) =>
  Effect.flatMap(ScriptedProvider, (server) =>
    Effect.map(server.families, (families) =>
      Option.getOrThrow(Option.fromUndefinedOr(families.find((family) => family.number === number))),
    ),
  )

export interface Round {
  readonly redemptions: number
  readonly reuses: number
  readonly failures: ReadonlyArray<string>
  /** How many different tokens were handed out. */
  readonly tokens: number
}

const askAll = (workers: ReadonlyArray<Worker>, account: AccountKey, fibers: number) =>
  Effect.promise(() => Promise.all(workers.map((worker) => worker.ask(account, fibers))))

/** One round: every process asks at once, with so many fibers each. */
export const round = Effect.fnUntraced(function* (workers: ReadonlyArray<Worker>, bucket: string, fibers: number) {
  const { account, family } = yield* expiredLogin(bucket)
  const reports = yield* askAll(workers, account, fibers)
  const answered = reports.flatMap((report) => (report === undefined ? [] : [report]))
  const { redemptions, reuses } = yield* familyOf(family)
  const result: Round = {
    redemptions,
    reuses,
    failures: answered.flatMap((report) => report.failures),
    tokens: new Set(answered.flatMap((report) => report.tokens)).size,
  }
  return result
})

/**
 * A round in which one of the processes is killed after so many milliseconds. The server answers late, so that there is
 * something to hit. What became of the login, as the next to use it hears, and as the status tells before and after.
 */
export const deadlyRound = Effect.fnUntraced(function* (
  workers: ReadonlyArray<Worker>,
  victim: Worker,
  after: number,
  bucket: string,
  fibers: number,
) {
  const server = yield* ScriptedProvider
  const broker = yield* Broker
  const { account, family } = yield* expiredLogin(bucket)
  yield* server.script([Behaviour.slow("15 millis")])
  yield* Effect.all([askAll(workers, account, fibers), Effect.delay(Effect.sync(victim.kill), after)], {
    concurrency: "unbounded",
  })
  const next = yield* Effect.result(broker.getToken(account))
  const { reuses } = yield* familyOf(family)
  const { problem, state } = yield* stateOf(account)
  return { survived: next._tag === "Success", state, problem: Option.getOrElse(problem, () => ""), reuses }
})

/** The folder that all share. */
export const homeFolder = Effect.map(BrokerConfig, ({ configFile }) => dirname(configFile))

/** What a person who asks for the status is told. */
export const stateOf = Effect.fnUntraced(function* (account: AccountKey) {
  const store = yield* TokenStore
  const lock = yield* AccountLock
  const record = Option.getOrThrow(yield* store.get(account))
  return LoginState.describe(account, record, {
    now: yield* DateTime.now,
    isUnsaved: false,
    isRefreshing: yield* lock.isHeld(account, "refresh"),
  })
})

/** A broker on files in a folder of its own, and the server that ends a login when a token is used twice. */
export const places = (options: ScriptedServer.Options = {}) =>
  BrokerHost.layer.pipe(
    Layer.provideMerge(TemporaryHome.layerConfig()),
    Layer.provide(NodeServices.layer),
    Layer.merge(ScriptedServer.layer({ clientSecret: Option.none(), ...options })),
  )

export const startWorkers = (home: string, count: number) =>
  Effect.all(
    Array.from({ length: count }, () => startWorker(home)),
    { concurrency: 4 },
  )

/** For so long `tokenkeep token` runs again and again, and another process asks all the time. */
export const twoPaths = Effect.fnUntraced(function* (milliseconds: number) {
  yield* configure
  const home = yield* homeFolder
  const { account, family } = yield* expiredLogin("default")
  const worker = yield* startWorker(home)
  const refused: Array<string> = []
  let commands = 0
  let calls = 0
  const command = Effect.gen(function* () {
    const { code, stderr } = yield* Program.run(["token", account.toString()], { TOKENKEEP_HOME: home })
    commands++
    if (code !== 0) refused.push(stderr)
  })
  const call = Effect.gen(function* () {
    const report = yield* Effect.promise(() => worker.ask(account, 3))
    calls++
    refused.push(...(report?.failures ?? ["the process died"]))
  }).pipe(Effect.delay("20 millis"))
  const until = (yield* Clock.currentTimeMillis) + milliseconds
  const isOver = Effect.map(Clock.currentTimeMillis, (now) => now >= until)
  yield* Effect.all([Effect.repeat(command, { until: () => isOver }), Effect.repeat(call, { until: () => isOver })], {
    concurrency: 2,
  })
  return { commands, calls, refused, family: yield* familyOf(family) }
})
