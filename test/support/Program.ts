/**
 * The program as a person runs it: a process of its own.
 */
import { spawn } from "node:child_process"
import { Effect } from "effect"
import { compileCache } from "./compileCache.ts"
import * as Programs from "./Programs.ts"

/** The program. */
export const main = Programs.pathOf("tokenkeep")

/** The program as it is in a clone. */
export const source = Programs.sourceOf("tokenkeep")

/** What a process did. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running process. */
export interface Running {
  readonly pid: number
  /** The first match of a pattern in what has been said so far, or will be; fails when the process ends without it. */
  readonly said: (stream: "stdout" | "stderr", pattern: RegExp) => Promise<RegExpExecArray>
  readonly write: (text: string) => void
  /** Nobody reads what it says any more. */
  readonly deafen: () => void
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Outcome>
}

export type Environment = { readonly [name: string]: string }

/**
 * Starts the program; it is killed when the scope closes. Only what is given is in its environment, and
 * where Node keeps what it compiled. `under` is a command
 * that runs the command that follows it; `program` is one that was built.
 */
export const start = (
  args: ReadonlyArray<string>,
  environment: Environment,
  under: ReadonlyArray<string> = [],
  program = main,
) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const [command = process.execPath, ...rest] = [...under, process.execPath, program, ...args]
      const child = spawn(command, rest, { env: { ...compileCache, ...environment }, stdio: "pipe" })
      const output = { stdout: "", stderr: "" }
      const listeners = new Set<() => void>()
      const notice = () => listeners.forEach((listener) => listener())
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text: string) => {
          output[stream] += text
          notice()
        })
      }
      child.stdin.on("error", () => {})
      const { promise: ended, resolve } = Promise.withResolvers<Outcome>()
      let over = false
      child.on("close", (code) => {
        over = true
        resolve({ code, ...output })
        notice()
      })
      return {
        pid: child.pid ?? -1,
        ended,
        write: (text) => child.stdin.write(text),
        deafen: () => {
          child.stdout.destroy()
          child.stderr.destroy()
        },
        kill: (signal) => child.kill(signal),
        said: (stream, pattern) =>
          new Promise((found, failed) => {
            const look = () => {
              const match = pattern.exec(output[stream])
              if (match !== null) found(match)
              else if (over) failed(new Error(`it never said ${pattern}, but: ${JSON.stringify(output)}`))
              else return
              listeners.delete(look)
            }
            listeners.add(look)
            look()
          }),
      }
    }),
    ({ ended, kill }) =>
      Effect.promise(() => {
        kill("SIGKILL")
        return ended
      }),
  )

/** Runs the program to its end. */
export const run = (
  args: ReadonlyArray<string>,
  environment: Environment,
  input = "",
  under: ReadonlyArray<string> = [],
  program = main,
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const running = yield* start(args, environment, under, program)
      if (input !== "") running.write(input)
      return yield* Effect.promise(() => running.ended)
    }),
  )
