/**
 * A program that runs in the place of this one: with our terminal, folder, streams and environment. While it runs, the
 * signals that reach us are for it, and we do not end before it has ended.
 */
import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { constants } from "node:os"
import { env } from "node:process"
import { Data, Deferred, Effect, Exit, Option, Queue, Schema } from "effect"
import { oneLine } from "../../domain/RemoteText.ts"

export interface Options {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** What differs from our own environment; what is undefined is not there. */
  readonly environment: { readonly [name: string]: string | undefined }
  /** What is to be its descriptor 3. */
  readonly descriptor: Option.Option<number>
}

/** It did not begin. The exit codes are those of env(1). */
export class NotStarted extends Data.TaggedError("NotStarted")<{
  readonly exitCode: 125 | 126 | 127
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

const passedOn = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT"] as const
type Signal = (typeof passedOn)[number]

/** Those that a terminal sends to the whole group of processes in its foreground. */
const fromKeys: ReadonlySet<Signal> = new Set(["SIGINT", "SIGQUIT"])

const libraries: { readonly [platform: string]: string } = { linux: "libc.so.6", darwin: "libSystem.B.dylib" }

/** Whether what is typed at the terminal reaches us (tcgetpgrp(3)), and so the child, which is in our group. */
const isInForeground = Effect.gen(function* () {
  const library = libraries[process.platform]
  if (library === undefined) return false
  const { default: koffi } = yield* Effect.promise(() => import("koffi"))
  const libc = koffi.load(library)
  return yield* Effect.acquireUseRelease(
    Effect.try(() => openSync("/dev/tty", "r")),
    (terminal) => Effect.sync(() => libc.func("int tcgetpgrp(int fd)")(terminal) === libc.func("int getpgrp(void)")()),
    (terminal) => Effect.sync(() => closeSync(terminal)),
  )
}).pipe(Effect.orElseSucceed(() => false))

/** Signals as they come, until the scope closes. Whoever else would have heard them does not hear them meanwhile. */
const signals = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Signal>()
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      passedOn.map((signal) => {
        const others = process.listeners(signal)
        const take = () => Queue.offerUnsafe(queue, signal)
        // Somebody listens at every moment, or the signal would end us.
        process.on(signal, take)
        for (const other of others) process.off(signal, other)
        return () => {
          for (const other of others) process.on(signal, other)
          process.off(signal, take)
        }
      }),
    ),
    (giveBack) => Effect.sync(() => giveBack.forEach((give) => give())),
  )
  return queue
})

/** Trouble of ours, not with the command. */
const ours: ReadonlySet<string | undefined> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"])

const hasCode = Schema.is(Schema.Struct({ code: Schema.String }))

const notStarted = (command: string, error: unknown) => {
  const code = hasCode(error) ? error.code : "unknown"
  const name = oneLine(command)
  if (ours.has(code)) return new NotStarted({ exitCode: 125, detail: `No process can be started now (${code}).` })
  if (command === "") return new NotStarted({ exitCode: 127, detail: "A program without a name cannot be found." })
  return code === "ENOENT"
    ? new NotStarted({ exitCode: 127, detail: `There is no program ${name}, or not what it says it is run by.` })
    : new NotStarted({ exitCode: 126, detail: `The program ${name} is there, but cannot be run (${code}).` })
}

const start = Effect.fnUntraced(function* ({ args, command, descriptor, environment }: Options) {
  const started = yield* Deferred.make<void, NotStarted>()
  const ended = yield* Deferred.make<number>()
  const child = yield* Effect.try({
    try: () => {
      const child = spawn(command, args, {
        env: { ...env, ...environment },
        stdio: ["inherit", "inherit", "inherit", ...Option.toArray(descriptor)],
      })
      child.once("spawn", () => Deferred.doneUnsafe(started, Exit.void))
      // Also when it cannot be sent a signal, which it does not become worse from.
      child.on("error", (error) => Deferred.doneUnsafe(started, Exit.fail(notStarted(command, error))))
      child.once("exit", (code, signal) =>
        Deferred.doneUnsafe(ended, Exit.succeed(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))),
      )
      return child
    },
    catch: (error) => notStarted(command, error),
  })
  yield* Deferred.await(started)
  return { child, ended: Deferred.await(ended) }
})

/**
 * Runs the program to its end. Its exit code, or 128 and the number of the signal that ended it, becomes ours, whatever
 * happens afterwards.
 */
export const run = (options: Options): Effect.Effect<void, NotStarted> =>
  Effect.gen(function* () {
    const received = yield* signals
    const { child, ended } = yield* start(options)
    yield* Queue.take(received).pipe(
      Effect.flatMap((signal) =>
        Effect.map(fromKeys.has(signal) ? isInForeground : Effect.succeed(false), (hasIt) => {
          if (!hasIt) child.kill(signal)
        }),
      ),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped,
    )
    process.exitCode = yield* ended
  }).pipe(Effect.scoped, Effect.uninterruptible)
