/**
 * What this machine gives us to work with: Node, a clock, locks of the kernel, a temporary folder that is safe.
 */
import { open } from "node:fs/promises"
import { Clock, DateTime, Effect, FileSystem, Option } from "effect"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import { oneLine } from "../../domain/RemoteText.ts"
import * as KernelLock from "../../system/KernelLock.ts"
import * as Ownership from "../../system/Ownership.ts"
import { quoted } from "../NextCommand.ts"
import { type Finding, ok, orOk, problem, skipped, warning } from "./Finding.ts"
import { Surroundings } from "./Surroundings.ts"

/** As package.json has it. */
const oldestNode = [22, 19] as const

export const node = Effect.map(Surroundings, ({ node }): Finding => {
  const [major = 0, minor = 0] = node.split(".").map(Number)
  const isOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])
  return isOld
    ? problem(
        "node",
        `Node ${node} runs this; it has to be ${oldestNode.join(".")} or later. Nothing was lost.`,
        "npm install --global node@24",
      )
    : ok("node", node)
})

/** This was written later than that: a clock that is behind it is wrong, whatever the providers say. */
const writtenAt = DateTime.makeUnsafe("2026-01-01T00:00:00Z")

const setClock: { readonly [platform: string]: string } = {
  linux: "sudo timedatectl set-ntp true",
  darwin: "sudo sntp -sS time.apple.com",
}

/** What sets the clock, where that is known. */
export const clockCommand = Effect.map(Surroundings, ({ platform }) => setClock[platform])

export const clock = Effect.gen(function* () {
  const now = yield* DateTime.now
  if (DateTime.isGreaterThanOrEqualTo(now, writtenAt)) return []
  return [
    problem(
      "clock",
      `The clock of this machine says ${DateTime.formatIso(now)}, which cannot be. Tokens look fresh that have expired; nothing was lost.`,
      yield* clockCommand,
    ),
  ]
})

/** How the lock of the kernel is had; another in tests. */
export type MakeLock = Effect.Effect<KernelLock.TryLock>

export const kernelLock: MakeLock = Effect.flatMap(Surroundings, ({ platform }) => KernelLock.make(platform))

/** Whether the kernel locks files in the folder of the accounts, without which processes refresh at the same time. */
export const locks = Effect.fnUntraced(function* (make: MakeLock = kernelLock) {
  const fs = yield* FileSystem.FileSystem
  const { accountsDirectory } = yield* BrokerConfig
  const made = yield* Effect.exit(make)
  if (made._tag === "Failure") {
    return problem(
      "locks",
      "The kernel cannot be asked for locks: the package koffi is not there, or not for this machine. Nothing can be refreshed; what is kept is safe.",
      "npm install --global tokenkeep",
    )
  }
  if (!(yield* Effect.orElseSucceed(fs.exists(accountsDirectory), () => false))) {
    return ok("locks", "of the kernel, where there is nothing to lock yet")
  }
  // Shared, so that nobody who looks at the same time takes us for a holder; and on the folder, where nobody locks anything.
  const tried = yield* Effect.acquireUseRelease(
    Effect.tryPromise(() => open(accountsDirectory, "r")),
    ({ fd }) => Effect.sync(() => made.value(fd, "shared")),
    (handle) => Effect.promise(() => handle.close()),
  ).pipe(Effect.option)
  if (Option.isNone(tried)) return skipped("locks", `${oneLine(accountsDirectory)} cannot be opened.`)
  return tried.value === "failed"
    ? problem(
        "locks",
        `The file system of ${oneLine(accountsDirectory)} does not lock files, so processes may refresh at the same time and log each other out. Keep everything on another one, and let one process do all refreshing until then.`,
        "export TOKENKEEP_HOME=$HOME/.tokenkeep",
      )
    : ok("locks", "of the kernel, and they work here")
})

const sticky = 0o1000
const othersMayWrite = 0o002

/** A folder for everybody in which anybody may put something else in the place of what is ours. */
export const temporaryFolder = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { temporaryFolder: path } = yield* Surroundings
  const shown = oneLine(path)
  const info = yield* Effect.option(fs.stat(path))
  if (Option.isNone(info) || info.value.type !== "Directory") {
    return warning(
      "temporary",
      `${shown} is no folder, and programs need one for what they keep for moments.`,
      "unset TMPDIR TMP TEMP",
    )
  }
  const { mode, uid } = info.value
  const owner = Option.getOrElse(uid, () => Ownership.root)
  const sudo = owner === Ownership.uid() ? "" : "sudo "
  return (mode & othersMayWrite) !== 0 && (mode & sticky) === 0
    ? problem(
        "temporary",
        `In ${shown} anybody may put something else in the place of what is yours. No socket is made there; what is kept is safe.`,
        `${sudo}chmod +t ${quoted(path)}`,
      )
    : ok("temporary", shown)
})

/** What there is to say of this machine. */
export const all = Effect.fnUntraced(function* (lock: MakeLock) {
  const wrong = yield* clock
  return [
    yield* node,
    yield* locks(lock),
    yield* temporaryFolder,
    ...orOk(wrong, "clock", `${DateTime.formatIso(DateTime.makeUnsafe(yield* Clock.currentTimeMillis)).slice(0, 19)}Z`),
  ]
})
