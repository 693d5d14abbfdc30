/**
 * `helper docker`: what `docker-credential-tokenkeep` runs, which docker looks for where `config.json` says `tokenkeep`.
 * docker reads on stdout what went wrong, too.
 */
import { Config, Console, Effect, FileSystem, Option, Path, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import type { AccountKey } from "../../domain/AccountKey.ts"
import * as HostsFile from "../../broker/HostsFile.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import * as Docker from "../../helpers/Docker.ts"
import * as HostBinding from "../../helpers/HostBinding.ts"
import * as Shell from "../../helpers/Shell.ts"
import * as JsonText from "../../import/JsonText.ts"
import { join, Machine } from "../../import/Machine.ts"
import { version } from "../../version.ts"
import { yes } from "../Confirm.ts"
import * as ExitCode from "../ExitCode.ts"
import { print } from "../Handouts.ts"
import { ThisProgram } from "../ThisProgram.ts"
import { UsageError } from "../UsageError.ts"
import * as Arguments from "./Arguments.ts"
import * as Change from "./Change.ts"

export const docker = Command.make(
  "docker",
  {
    words: Arguments.words,
    hosts: Arguments.hosts,
    username: Arguments.username,
    folder: Flag.String("bin").pipe(
      Flag.withDescription("The folder for docker-credential-tokenkeep, on your PATH; ~/.local/bin by default"),
      Flag.optional,
    ),
    install: Arguments.install,
    uninstall: Arguments.uninstall,
    yes,
  },
  Effect.fn("helper.docker")(
    function* (input) {
      const { account, action } = Arguments.split(input.words, Docker.isAction)
      const username = Option.getOrUndefined(input.username)
      const typed = { account, hosts: input.hosts, username }
      if (input.install || input.uninstall) {
        const usual = yield* usualFolder
        const folder = Option.getOrElse(input.folder, () => usual)
        const key = yield* Arguments.required(account)
        return yield* input.install
          ? install(key, typed, folder, input.yes)
          : uninstall(key, input.hosts, folder, input.yes)
      }
      switch (action) {
        case "get":
          return yield* get(typed)
        case "list": {
          const { hosts } = yield* HostsFile.read
          return yield* Console.log(Docker.list(HostBinding.bindings(hosts)).trimEnd())
        }
        case "store":
          return yield* say(Docker.notStored)
        case "erase":
          // docker logout is not for tokenkeep, which has more to do than docker.
          return
        case "version":
          return yield* Console.log(`docker-credential-tokenkeep (tokenkeep) v${version}`)
        default:
          return yield* new UsageError({
            detail:
              "docker says itself what it wants: get, store, erase or list. Have it use this with: tokenkeep helper docker ACCOUNT --host ghcr.io --install",
          })
      }
    },
    Effect.provide([SecureRandom.layerWebCrypto, Machine.layer]),
  ),
).pipe(
  Command.withDescription("Answer docker's questions for credentials"),
  Command.withExamples([{ command: "tokenkeep helper docker github --host ghcr.io --install" }]),
)

/** What docker is to read as the reason why there is no credential. */
const say = (words: string) => Effect.andThen(Console.log(words.trimEnd()), ExitCode.set(1))

const get = Effect.fnUntraced(function* (typed: HostBinding.Typed) {
  const text = yield* Arguments.input
  if (Docker.isEmpty(text)) return yield* say(Docker.noServer)
  const registry = Docker.parse(text)
  const binding = registry === undefined ? undefined : yield* Arguments.bindingFor(typed, registry.host)
  if (registry === undefined || binding === undefined) return yield* say(Docker.notFound)
  yield* Arguments.handout(binding.account).pipe(
    Effect.flatMap((handout) => print(Docker.answer(registry, binding, handout))),
    Effect.catch((error) => say(`tokenkeep: ${oneLine(error.message)}`)),
  )
})

const helperName = "tokenkeep"

const mark = "# Written by: tokenkeep helper docker --install"

const scriptFor = (program: ReadonlyArray<string>) =>
  `#!/bin/sh\n${mark}\nexec ${Shell.command(program)} helper docker "$@"\n`

const configPath = Effect.map(Machine, ({ home, variables }) =>
  join(variables.DOCKER_CONFIG ?? join(home, ".docker"), "config.json"),
)

const usualFolder = Effect.map(Machine, ({ home }) => join(home, ".local", "bin"))

const scriptName = "docker-credential-tokenkeep"

const decodeHelpers = Schema.decodeUnknownOption(Schema.Record(Schema.String, Schema.String))

/** Which program docker asks for which registry. */
const helpersIn = (text: string) =>
  Option.getOrElse(decodeHelpers(Option.getOrUndefined(JsonText.valueAt(text, ["credHelpers"]))), () => ({}))

const isScript = (text: string) => text.startsWith(`#!/bin/sh\n${mark}\n`)

const script = (path: string, isNew: boolean, text: string): Change.Step => ({
  shown: `${path}: new\n${text.trimEnd()}`,
  make: Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    yield* fs.makeDirectory(paths.dirname(path), { recursive: true })
    // What came there in the meantime is not ours to replace.
    yield* fs.writeFileString(path, text, { mode: 0o755, flag: isNew ? "wx" : "w" })
  }).pipe(Effect.mapError(() => new Change.NotChanged({ detail: `Could not write ${oneLine(path)}. See --bin.` }))),
})

const withoutScript = (path: string): Change.Step => ({
  shown: `${path}: removed`,
  make: Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(path, { force: true })).pipe(
    Effect.mapError(() => new Change.NotChanged({ detail: `Could not remove ${oneLine(path)}.` })),
  ),
})

const install = Effect.fnUntraced(function* (
  account: AccountKey,
  { hosts = [], username }: HostBinding.Typed,
  folder: string,
  yes: boolean,
) {
  const paths = yield* Path.Path
  const usual = yield* usualFolder
  const program = yield* ThisProgram
  const meant = yield* Change.meant(account, hosts)
  if (meant.length === 0) return yield* new UsageError({ detail: "Name the registry, like --host ghcr.io." })
  const path = yield* configPath
  const was = yield* Change.textAt(path)
  const text = Option.getOrElse(was, () => "{}\n")
  const helpers = helpersIn(text)
  const others = Object.entries(helpers).filter(([host, helper]) => meant.includes(host) && helper !== helperName)
  if (others.length > 0) {
    return yield* new Change.NotChanged({
      detail: `For ${others.map(([host]) => printable(host)).join(", ")} docker asks another program already, as "credHelpers" in ${oneLine(path)} says. Nothing was changed; take that out first.`,
    })
  }
  const missing = meant.filter((host) => !Object.hasOwn(helpers, host))
  const next = missing.reduce(
    (text, host) =>
      Option.flatMap(text, (text) =>
        Option.isSome(JsonText.textAt(text, ["credHelpers"]))
          ? JsonText.withValue(text, ["credHelpers", host], helperName)
          : JsonText.withValue(text, ["credHelpers"], { [host]: helperName }),
      ),
    Option.some(text),
  )
  if (Option.isNone(next)) {
    return yield* new Change.NotChanged({
      detail: `${oneLine(path)} is no JSON object, or its "credHelpers" is none. It was left as it is; mend it first.`,
    })
  }
  const file = paths.resolve(folder, scriptName)
  const there = yield* Change.textAt(file)
  if (Option.exists(there, (text) => !isScript(text))) {
    return yield* new Change.NotChanged({
      detail: `${oneLine(file)} is there already, and not from here. Nothing was changed; name another folder with --bin.`,
    })
  }
  const content = scriptFor(program)
  const steps = [
    ...(yield* Change.bind(account, meant, username)),
    ...(Option.exists(there, (text) => text === content) ? [] : [script(file, Option.isNone(there), content)]),
    ...(missing.length === 0
      ? []
      : [
          Change.rewrite(
            path,
            was,
            next.value,
            `"credHelpers" ${JSON.stringify(Object.fromEntries(missing.map((host) => [host, helperName])))}`,
          ),
        ]),
  ]
  yield* Change.carryOut(steps, {
    yes,
    none: `docker asks tokenkeep for ${meant.map(printable).join(", ")} already.`,
    startsUs: true,
    done: `docker asks tokenkeep for ${meant.map(printable).join(", ")} from now on. Take that back with: ${Shell.command(["tokenkeep", "helper", "docker", account.toString(), ...(folder === usual ? [] : ["--bin", folder]), "--uninstall"])}`,
  })
  const onPath = Option.getOrElse(yield* Config.option(Config.String("PATH")), () => "").split(":")
  if (!onPath.includes(paths.dirname(file))) {
    yield* Console.error(`Note: ${oneLine(paths.dirname(file))} is not on your PATH, where docker looks for programs.`)
  }
})

const uninstall = Effect.fnUntraced(function* (
  account: AccountKey,
  hosts: ReadonlyArray<string>,
  folder: string,
  yes: boolean,
) {
  const paths = yield* Path.Path
  const meant = yield* Change.meant(account, hosts)
  const path = yield* configPath
  const was = yield* Change.textAt(path)
  const text = Option.getOrElse(was, () => "")
  const helpers = helpersIn(text)
  const ours = Object.keys(helpers).filter((host) => meant.includes(host) && Reflect.get(helpers, host) === helperName)
  const isLast = Object.entries(helpers).every(([host, helper]) => helper !== helperName || ours.includes(host))
  const isAll = ours.length > 0 && ours.length === Object.keys(helpers).length
  const members = isAll ? [["credHelpers"]] : ours.map((host) => ["credHelpers", host])
  let next = Option.some(text)
  for (const member of members) {
    if (Option.isSome(next)) next = yield* Change.without(path, next.value, member)
  }
  const file = paths.resolve(folder, scriptName)
  const there = yield* Change.textAt(file)
  const steps = [
    ...(ours.length > 0 && Option.isSome(next)
      ? [Change.rewrite(path, was, next.value, `no "credHelpers" for ${ours.join(", ")} any more`)]
      : []),
    ...(isLast && Option.exists(there, isScript) ? [withoutScript(file)] : []),
    ...(yield* Change.unbind(account, ours)),
  ]
  yield* Change.carryOut(steps, {
    yes,
    none: Change.nothingToTakeBack,
    done: "docker no longer asks tokenkeep for that.",
  })
})
