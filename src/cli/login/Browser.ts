/**
 * Opens an address in the person's browser: by argument vector, never through a shell, and only an address that a
 * browser fetches rather than runs.
 *
 * `BROWSER` says by which program: several are separated by colons and tried in turn, arguments by spaces; `%s` is the
 * place of the address, which is last if it has none, and `%%` a percent sign.
 */
import { spawn } from "node:child_process"
import { Context, Effect, Option } from "effect"
import * as SecureUrl from "../../oauth/SecureUrl.ts"
import * as Desktop from "./Desktop.ts"

/** The programs and arguments of `BROWSER`, in the order in which to try them. */
export const commandsIn = (
  value: string,
  address: string,
  platform = "linux",
): ReadonlyArray<readonly [program: string, ...args: Array<string>]> =>
  // On Windows a colon is part of a path.
  value.split(platform === "win32" ? ";" : ":").flatMap((entry) => {
    const [program, ...args] = entry.split(" ").filter((word) => word !== "")
    if (program === undefined) return []
    const filled = args.map((word) => word.replace(/%[s%]/g, (mark) => (mark === "%s" ? address : "%")))
    const hasPlace = args.some((word) => /(?<!%)(?:%%)*%s/.test(word))
    return [[program, ...filled, ...(hasPlace ? [] : [address])]]
  })

/** How long a program that cannot open anything may take to say so; meanwhile the person sees nothing. */
const failsWithin = "400 millis"

/** Starts a program that goes on without us; whether it did not fail at once. */
const start = (program: string, args: ReadonlyArray<string>) =>
  Effect.callback<boolean>((resume) => {
    spawn(program, args, { stdio: "ignore", detached: true, shell: false })
      .once("error", () => resume(Effect.succeed(false)))
      .once("exit", (code) => resume(Effect.succeed(code === 0)))
      .unref()
  }).pipe(
    Effect.timeoutOrElse({ duration: failsWithin, orElse: () => Effect.succeed(true) }),
    // A name that no program can have, as with a zero in it.
    Effect.catchDefect(() => Effect.succeed(false)),
  )

/** By the means of the operating system. */
const openDefault = (address: string) =>
  Effect.tryPromise(() => import("open")).pipe(
    Effect.flatMap((module) => Effect.tryPromise(() => module.default(address))),
    // A launcher that fails later must not become an uncaught exception.
    Effect.tap((child) => Effect.sync(() => child.on("error", () => {}))),
    Effect.as(true),
    Effect.orElseSucceed(() => false),
  )

/** How programs are started; whether that went well. */
export class Launcher extends Context.Reference<{
  readonly start: (program: string, args: ReadonlyArray<string>) => Effect.Effect<boolean>
  readonly openDefault: (address: string) => Effect.Effect<boolean>
}>("tokenkeep/cli/login/Browser/Launcher", { defaultValue: () => ({ start, openDefault }) }) {}

/** Tries to open the address; whether that went well. That it did not is no failure: the address was printed. */
export const open = Effect.fnUntraced(function* (url: string) {
  const address = SecureUrl.parse(url)
  if (Option.isNone(address)) return false
  const { openDefault, start } = yield* Launcher
  const preferred = yield* Desktop.preferred
  if (preferred === undefined) return yield* openDefault(address.value.href)
  for (const [program, ...args] of commandsIn(preferred, address.value.href, yield* Desktop.Platform)) {
    if (yield* start(program, args)) return true
  }
  return false
})
