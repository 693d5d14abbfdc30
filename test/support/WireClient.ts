/**
 * The client in Python, as a process of its own, and what it printed.
 */
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import * as OtherUser from "./OtherUser.ts"

const script = fileURLToPath(new URL("../e2e/wire_client.py", import.meta.url))

/** Where Python really is: what is on the path is often a script that looks for it, each time. */
const python = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).stdout?.trim()

/** Whether there is a Python to run it. */
export const isThere = python !== undefined && python !== ""

export interface Line {
  readonly op: string
  readonly payload?: { readonly [name: string]: unknown }
  readonly id?: string
}

interface Options {
  readonly args?: ReadonlyArray<string>
  readonly lines?: ReadonlyArray<Line>
  readonly environment?: { readonly [name: string]: string }
  /** What can be read from descriptor 3. */
  readonly behindDescriptor?: string
  /** As whom it runs. */
  readonly user?: number
}

/** A reply, as it was printed. */
export interface Reply {
  readonly [name: string]: unknown
}

/** How it ended. */
export interface Outcome {
  readonly code: number | null
  /** The handshake's reply first. */
  readonly replies: ReadonlyArray<Reply>
  readonly stderr: string
}

/** Its exit codes. */
export const exit = { answered: 0, unreachable: 1, usage: 2, closed: 3, refused: 4, violation: 5, late: 6 } as const

/** Runs the client to its end. */
export const run = (
  socket: string,
  { args = [], behindDescriptor = "", environment = {}, lines = [], user }: Options = {},
): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    const command = user === undefined ? python : OtherUser.python
    const child = spawn(command ?? "python3", ["-I", "-S", script, ...args], {
      ...(user !== undefined && { uid: user, gid: user }),
      env: { TOKENKEEP_SOCKET: socket, ...environment },
      stdio: ["pipe", "pipe", "pipe", "pipe"],
    })
    const output = { stdout: "", stderr: "" }
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text
      })
    }
    for (const input of [child.stdin, child.stdio[3]]) input?.on("error", () => {})
    const descriptor = child.stdio[3]
    if (descriptor !== undefined && descriptor !== null && "end" in descriptor) descriptor.end(behindDescriptor)
    child.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
    child.on("close", (code) => {
      const replies = output.stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line): Reply => JSON.parse(line))
      resume(Effect.succeed({ code, replies, stderr: output.stderr }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })
