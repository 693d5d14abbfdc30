/**
 * `tokenkeep-testing-server` as it is run: a process of its own.
 */
import { spawn } from "node:child_process"
import { Effect, Schema } from "effect"
import { compileCache } from "../support/compileCache.ts"
import * as Programs from "../support/Programs.ts"

const main = Programs.pathOf("tokenkeep-testing-server")

/** What a process did. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running process. */
export interface Running {
  /** The first line, or all that was said if there never was one. */
  readonly firstLine: Promise<string>
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Outcome>
}

/** Starts the program; it is killed when the scope closes. */
export const start = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const child = spawn(process.execPath, [main, ...args], { env: compileCache, stdio: ["ignore", "pipe", "pipe"] })
      const output = { stdout: "", stderr: "" }
      const ended = Promise.withResolvers<Outcome>()
      const firstLine = Promise.withResolvers<string>()
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text: string) => {
          output[stream] += text
          const [line = "", rest] = output.stdout.split("\n", 2)
          if (rest !== undefined) firstLine.resolve(line)
        })
      }
      child.on("close", (code) => {
        firstLine.resolve(JSON.stringify(output))
        ended.resolve({ code, ...output })
      })
      return { firstLine: firstLine.promise, ended: ended.promise, kill: (signal) => void child.kill(signal) }
    }),
    ({ ended, kill }) =>
      Effect.promise(() => {
        kill("SIGKILL")
        return ended
      }),
  )

/** Runs the program to its end. */
export const run = (args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(start(args), ({ ended }) => Effect.promise(() => ended)))

const Announcement = Schema.Struct({
  issuer: Schema.String,
  port: Schema.Int,
  client_id: Schema.String,
  client_secret: Schema.NullOr(Schema.String),
  authorization_endpoint: Schema.String,
  token_endpoint: Schema.String,
  device_authorization_endpoint: Schema.String,
  resource: Schema.String,
})

/** Starts the program, and reads where it listens. */
export const listening = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const running = yield* start(args)
  const line = yield* Effect.promise(() => running.firstLine)
  const announcement = yield* Schema.decodeEffect(Schema.fromJsonString(Announcement))(line)
  const headers: Record<string, string> =
    announcement.client_secret === null
      ? {}
      : { authorization: `Basic ${btoa(`${announcement.client_id}:${announcement.client_secret}`)}` }
  const post = (url: string, parameters: Record<string, string>) =>
    fetch(url, { method: "POST", body: new URLSearchParams(parameters), headers })
  return { ...announcement, ...running, post }
})

/** The calls that an ended process has told of. */
export const callsOf = ({ stdout }: Outcome): ReadonlyArray<unknown> =>
  stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line): unknown => JSON.parse(line))
