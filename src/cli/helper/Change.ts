/**
 * A change to another program's configuration: shown first, then agreed to, then made, and how it is taken back is said.
 */
import { Config, Console, Data, Effect, Option, Path, FileSystem, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import type { BrokerConfig } from "../../broker/BrokerConfig.ts"
import * as HostsFile from "../../broker/HostsFile.ts"
import { textOf, type AccountKey } from "../../domain/AccountKey.ts"
import type { ConfigCorrupt, StoreUnavailable } from "../../domain/Errors.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import * as HostBinding from "../../helpers/HostBinding.ts"
import * as Shell from "../../helpers/Shell.ts"
import * as JsonText from "../../import/JsonText.ts"
import * as ToolFile from "../../import/ToolFile.ts"
import { confirm } from "../Confirm.ts"

/** It could not be done. */
export class NotChanged extends Data.TaggedError("NotChanged")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** One step, in the words in which it is shown. */
export interface Step {
  readonly shown: string
  readonly make: Effect.Effect<
    void,
    NotChanged | ConfigCorrupt | StoreUnavailable | ToolFile.FileTrouble | ToolFile.FileChanged,
    BrokerConfig | ChildProcessSpawner.ChildProcessSpawner | FileSystem.FileSystem | Path.Path
  >
}

/** Said where nothing is to be taken back. */
export const nothingToTakeBack = "There is nothing to take back. Nothing was changed."

/** Shows the steps, asks, and makes them; `none` is said where there are none, `done` when all are made. */
export const carryOut = Effect.fnUntraced(function* (
  steps: ReadonlyArray<Step>,
  options: {
    readonly yes: boolean
    readonly none: string
    readonly done: string
    /** Whether another program starts us from then on. */
    readonly startsUs?: boolean
  },
) {
  if (steps.length === 0) return yield* Console.error(options.none)
  yield* Console.error("This will be changed:\n")
  for (const { shown } of steps) {
    yield* Console.error(
      shown
        .split("\n")
        .map((line) => `  ${oneLine(line)}`)
        .join("\n"),
    )
  }
  yield* Console.error("")
  if (steps.some(({ shown }) => /[\\/]_npx[\\/]/.test(shown))) {
    yield* Console.error("Note: this is the tokenkeep of npx, which is gone some day. Install one that stays first.\n")
  }
  const home = yield* Effect.option(Config.String("TOKENKEEP_HOME"))
  if (options.startsUs === true && Option.exists(home, (home) => home !== "")) {
    yield* Console.error("Note: TOKENKEEP_HOME is set here. Whatever starts that program has to set it too.\n")
  }
  yield* confirm("Change it?", options.yes, "Nothing was changed, as nobody can be asked here.")
  for (const { make } of steps) yield* make
  yield* Console.error(options.done)
})

/** What a program says on stdout; nothing, if it could not do what it was asked, or is not there. */
export const ask = Effect.fnUntraced(
  function* (program: string, args: ReadonlyArray<string>) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const { exitCode, stdout } = yield* spawner.spawn(ChildProcess.make(program, args, { stderr: "ignore" }))
    const text = yield* Stream.mkString(Stream.decodeText(stdout))
    return (yield* exitCode) === 0 ? Option.some(text) : Option.none()
  },
  Effect.scoped,
  Effect.orElseSucceed(() => Option.none<string>()),
)

/** A command as a step, without a shell. */
export const run = (program: string, args: ReadonlyArray<string>): Step => ({
  shown: Shell.command([program, ...args]),
  make: Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const failed = new NotChanged({
      detail: `${program} did not do its part: ${oneLine(Shell.command([program, ...args]))}. What was shown before it was changed; run it by hand to see why.`,
    })
    const code = yield* Effect.mapError(spawner.exitCode(ChildProcess.make(program, args)), () => failed)
    if (code !== 0) return yield* failed
  }),
})

/** A file of another program, changed; `was` is none for a new one. */
export const rewrite = (path: string, was: Option.Option<string>, text: string, shown: string): Step => ({
  shown: `${path}: ${shown}`,
  make: Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const files = yield* ToolFile.make
    yield* Effect.ignore(fs.makeDirectory(paths.dirname(path), { recursive: true, mode: 0o700 }))
    yield* files.replace(path, was, text)
  }).pipe(Effect.provide(SecureRandom.layerWebCrypto)),
})

/** The text of another program's file; none if there is none. */
export const textAt = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* ToolFile.make
  const found = yield* files.read(path)
  // A new file would take the place of the link, or come to be where it leads.
  if (Option.isNone(found) && Option.isSome(yield* Effect.option(fs.readLink(path)))) {
    return yield* new NotChanged({
      detail: `${oneLine(path)} is a link to a file that is not there. Nothing was changed; make that file, or remove the link.`,
    })
  }
  // What cannot be read as text must not be taken for nothing, and written over.
  if (Option.exists(found, ({ size, text }) => text === "" && size > 0)) {
    return yield* new NotChanged({ detail: `${oneLine(path)} is not UTF-8. It was left as it is; mend it first.` })
  }
  return Option.map(found, ({ text }) => text)
}, Effect.provide(SecureRandom.layerWebCrypto))

/** The text of a file without a member; none if it has no such member. */
export const without = Effect.fnUntraced(function* (path: string, text: string, member: JsonText.Path) {
  const next = JsonText.without(text, member)
  // It would count from then on.
  if (Option.exists(next, (text) => Option.isSome(JsonText.textAt(text, member)))) {
    return yield* new NotChanged({
      detail: `${oneLine(path)} says ${member.map((name) => JSON.stringify(printable(name))).join(".")} more than once. Nothing was changed; take out all but the last one first.`,
    })
  }
  return next
})

/** Binds hosts to an account. */
export const bind = Effect.fnUntraced(function* (account: AccountKey, hosts: ReadonlyArray<string>, username?: string) {
  const { configFile, hosts: known } = yield* HostsFile.read
  return hosts.flatMap((typed): ReadonlyArray<Step> => {
    const host = HostBinding.hostOf(typed) ?? typed
    const name = textOf(account.provider, account.bucket)
    const entry = username === undefined ? name : { account: name, username }
    const bound = HostBinding.bindingOf(known, host)
    const isSame =
      bound !== undefined &&
      HostBinding.isSameAccount(bound.account, name) &&
      (username === undefined || bound.username === username)
    const instead = bound === undefined || isSame ? "" : ` instead of ${bound.account}`
    return isSame
      ? []
      : [
          {
            shown: `${configFile}: "hosts" ${JSON.stringify({ [host]: entry })}${instead}`,
            make: HostsFile.set(host, entry).pipe(Effect.provide(SecureRandom.layerWebCrypto)),
          },
        ]
  })
}, Effect.provide(SecureRandom.layerWebCrypto))

/** Unbinds those hosts that are bound to the account. */
export const unbind = Effect.fnUntraced(function* (account: AccountKey, hosts: ReadonlyArray<string>) {
  const { configFile, hosts: known } = yield* HostsFile.read
  const name = textOf(account.provider, account.bucket)
  return hosts.flatMap((host): ReadonlyArray<Step> => {
    const bound = HostBinding.bindingOf(known, host)
    return bound === undefined || !HostBinding.isSameAccount(bound.account, name)
      ? []
      : [
          {
            shown: `${configFile}: no "hosts" ${JSON.stringify({ [host]: name })} any more`,
            make: HostsFile.set(host).pipe(Effect.provide(SecureRandom.layerWebCrypto)),
          },
        ]
  })
}, Effect.provide(SecureRandom.layerWebCrypto))

/** The hosts that are meant: those that were typed, or all that are bound to the account. */
export const meant = Effect.fnUntraced(function* (account: AccountKey, typed: ReadonlyArray<string>) {
  if (typed.length > 0) return [...new Set(typed.map((host) => HostBinding.hostOf(host) ?? host))]
  const { hosts } = yield* HostsFile.read
  const name = textOf(account.provider, account.bucket)
  return HostBinding.bindings(hosts)
    .filter((bound) => HostBinding.isSameAccount(bound.account, name))
    .map(({ host }) => host)
}, Effect.provide(SecureRandom.layerWebCrypto))
