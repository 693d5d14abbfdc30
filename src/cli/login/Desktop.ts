/**
 * Whether a browser that a person sees runs on this machine.
 */
import { Context, Effect, FileSystem } from "effect"
import * as EnvironmentVariable from "../EnvironmentVariable.ts"

/** What Node calls the operating system. */
export class Platform extends Context.Reference<string>("tokenkeep/cli/login/Desktop/Platform", {
  defaultValue: () => process.platform,
}) {}

const isSet = (...names: ReadonlyArray<string>) =>
  Effect.map(Effect.forEach(names, EnvironmentVariable.textOf), (values) => values.some((value) => value !== undefined))

/** The convention of `BROWSER`: programs to try in turn, each with its arguments. Undefined, if it says nothing. */
export const preferred = EnvironmentVariable.textOf("BROWSER")

/** What Docker and Podman put into every container; others say it in the environment. */
const isContainer = Effect.gen(function* () {
  if (yield* isSet("container")) return true
  const fs = yield* FileSystem.FileSystem
  const marks = yield* Effect.forEach(["/.dockerenv", "/run/.containerenv"], (path) =>
    Effect.orElseSucceed(fs.exists(path), () => false),
  )
  return marks.includes(true)
})

/** Whether a page that sends the browser back to this machine arrives here. */
export const isDesktop = Effect.gen(function* () {
  if (yield* isSet("SSH_CONNECTION", "SSH_TTY")) return false
  // Whoever says how a browser is opened knows that there is one, as in a container of an editor.
  if ((yield* preferred) !== undefined) return true
  const platform = yield* Platform
  if (platform === "darwin" || platform === "win32") return true
  if (yield* isContainer) return false
  return yield* isSet("WSL_DISTRO_NAME", "WSL_INTEROP", "DISPLAY", "WAYLAND_DISPLAY")
})

/** Whether it makes sense to try to open a browser. An editor may open one at the other end of an SSH connection. */
export const canOpen = Effect.gen(function* () {
  return (yield* preferred) !== undefined || (yield* isDesktop)
})
