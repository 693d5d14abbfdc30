/**
 * What is kept: whether it is ours alone, whole, and without what writers that were killed have left.
 */
import { Clock, Duration, Effect, FileSystem, Option, Path, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import * as ApiKeysFile from "../../broker/ApiKeysFile.ts"
import { BrokerConfig, type Settings } from "../../broker/BrokerConfig.ts"
import * as ConfigFile from "../../broker/ConfigFile.ts"
import * as RegistrationsFile from "../../broker/RegistrationsFile.ts"
import * as UsageFile from "../../broker/UsageFile.ts"
import { AccountKey } from "../../domain/AccountKey.ts"
import * as AuditEntry from "../../domain/AuditEntry.ts"
import { oneLine } from "../../domain/RemoteText.ts"
import * as Adoptions from "../../import/Adoptions.ts"
import * as AuditFile from "../../server/AuditFile.ts"
import * as KeptGrants from "../../server/KeptGrants.ts"
import * as FileName from "../../system/FileName.ts"
import * as Ownership from "../../system/Ownership.ts"
import * as PrivateFile from "../../system/PrivateFile.ts"
import { sha256 } from "../../system/Sha256.ts"
import { moveAwayCommand, quoted } from "../NextCommand.ts"
import { atMost, type Finding, orOk, problem, skipped, warning } from "./Finding.ts"

/** Where secrets are, or what says who may have them. */
const privateFolders = ({
  accountsDirectory,
  adoptedDirectory,
  auditDirectory,
  clientsDirectory,
  eventsDirectory,
  grantsDirectory,
  keysDirectory,
}: Settings): ReadonlyArray<string> => [
  accountsDirectory,
  keysDirectory,
  clientsDirectory,
  adoptedDirectory,
  grantsDirectory,
  auditDirectory,
  eventsDirectory,
]

interface There {
  readonly path: string
  readonly info: FileSystem.File.Info
}

/** What is there, without following links; or that it cannot be told. */
const look = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.lstat(path).pipe(
    Effect.map((info) => Option.some<There>({ path, info })),
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
    Effect.orElseSucceed(() => "unreadable" as const),
  )
})

/** More than anybody has. */
const most = 20_000

/** All that is in a folder. Folders that cannot be opened are named. */
const walk = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const found: Array<There> = []
  const closed: Array<string> = []
  const folders = [folder]
  for (let next = folders.pop(); next !== undefined && found.length < most; next = folders.pop()) {
    const within = next
    const names = yield* Effect.option(fs.readDirectory(within))
    if (Option.isNone(names)) closed.push(within)
    for (const name of Option.getOrElse(names, () => [])) {
      const there = yield* look(paths.join(within, name))
      if (there === "unreadable" || Option.isNone(there)) continue
      found.push(there.value)
      if (there.value.info.type === "Directory") folders.push(there.value.path)
    }
  }
  return { found, closed }
})

const modeOf = ({ info }: There): string => (info.mode & 0o7777).toString(8).padStart(4, "0")

const isOthers = ({ info }: There): boolean => {
  const us = Ownership.uid()
  return us !== -1 && Option.exists(info.uid, (owner) => owner !== us)
}

const ownCommand = (path: string) => `sudo chown -R "$(id -u)" ${quoted(path)}`

const notOurs = (there: There, root: string): Finding =>
  problem(
    "folders",
    `${oneLine(there.path)} belongs to another user, who can read and change what is kept there.`,
    ownCommand(root),
  )

/** A folder of secrets, and all in it: what is not ours alone. */
const checkPrivate = Effect.fnUntraced(function* (folder: string) {
  const there = yield* look(folder)
  const shown = oneLine(folder)
  if (there === "unreadable") return [problem("folders", `${shown} cannot be looked at. Nothing was changed.`)]
  if (Option.isNone(there)) return []
  if (there.value.info.type !== "Directory" && there.value.info.type !== "SymbolicLink") {
    return [
      problem(
        "folders",
        `${shown} has to be a folder, and is none. Nothing can be kept there; what is there was left as it is.`,
        moveAwayCommand(folder),
      ),
    ]
  }
  if (isOthers(there.value)) return [notOurs(there.value, folder)]
  const { closed, found } = yield* walk(folder)
  if (closed.includes(folder)) {
    return [
      problem("folders", `${shown} cannot be opened (mode ${modeOf(there.value)}).`, `chmod 700 ${quoted(folder)}`),
    ]
  }
  const foreign = found.find(isOthers)
  const open = [there.value, ...found].filter(
    ({ info }) => info.type !== "SymbolicLink" && (info.mode & Ownership.groupOrOthersMayDoAnything) !== 0,
  )
  const [first] = open
  const shut = closed.map((path) =>
    problem("folders", `${oneLine(path)} cannot be opened.`, `chmod 700 ${quoted(path)}`),
  )
  return [
    ...(foreign === undefined ? [] : [notOurs(foreign, folder)]),
    ...shut,
    ...(first === undefined
      ? []
      : [
          open.length === 1
            ? problem(
                "folders",
                `${oneLine(first.path)} is open to other users (mode ${modeOf(first)}), and there are secrets in it.`,
                `chmod ${first.info.type === "Directory" ? "700" : "600"} ${quoted(first.path)}`,
              )
            : problem(
                "folders",
                `${open.length} files and folders are open to other users, with secrets in them: ${oneLine(first.path)} and more.`,
                `chmod -R go= ${quoted(folder)}`,
              ),
        ]),
  ]
})

/** What says what to run, and what to believe: anybody may read it, and nobody else change it. */
const checkConfigPlace = Effect.fnUntraced(function* (configFile: string) {
  const paths = yield* Path.Path
  const folder = paths.dirname(configFile)
  const findings: Array<Finding> = []
  for (const path of [folder, configFile]) {
    const there = yield* look(path)
    if (there === "unreadable") {
      const message = `${oneLine(path)} cannot be looked at: ${oneLine(folder)} or a folder above it is no folder, or is closed to you. Nothing was changed.`
      const above = yield* look(folder)
      const isOurs =
        above !== "unreadable" && Option.exists(above, (there) => there.info.type === "Directory" && !isOthers(there))
      const command = isOurs ? `chmod u+rwx ${quoted(folder)}` : `ls -ld ${quoted(folder)}`
      return { isUsable: false, findings: [problem("folders", message, command)] }
    }
    if (Option.isNone(there)) break
    // That the file is none is said where it is read.
    if (path === folder && !["Directory", "SymbolicLink"].includes(there.value.info.type)) {
      const message = `${oneLine(path)} has to be a folder, and is none. Nothing can be kept there; what is there was left as it is.`
      return { isUsable: false, findings: [problem("folders", message, moveAwayCommand(path))] }
    }
    if (isOthers(there.value) && !Option.contains(there.value.info.uid, Ownership.root)) {
      findings.push(notOurs(there.value, folder))
    } else if (
      there.value.info.type !== "SymbolicLink" &&
      (there.value.info.mode & Ownership.groupOrOthersMayWrite) !== 0
    ) {
      findings.push(
        problem(
          "folders",
          `Others can change ${oneLine(path)} (mode ${modeOf(there.value)}), which says where logins are and what is run.`,
          `chmod go-w ${quoted(path)}`,
        ),
      )
    }
  }
  return { isUsable: true, findings }
})

/** What is wrong with the folders; and whether there is any use in looking into them. */
export const folders = Effect.gen(function* () {
  const config = yield* BrokerConfig
  const place = yield* checkConfigPlace(config.configFile)
  // Below what is no folder there is nothing to look at.
  if (!place.isUsable) return place
  const found = yield* Effect.forEach(privateFolders(config), checkPrivate)
  return { isUsable: true, findings: orOk([...place.findings, ...found.flatMap(atMost)], "folders", "yours alone") }
})

// Whether they can be understood

interface Kind {
  readonly check: string
  readonly folder: (config: Settings) => string
  /** How many folders down the files are. */
  readonly depth: 0 | 1
  readonly isRight: (text: string) => boolean
  /** What is safe, and what to do once it is moved away. */
  readonly rest: string
}

const readable = (schema: Schema.ConstraintDecoder<unknown>) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (text: string): boolean => Option.isSome(decode(text))
}

const kinds: ReadonlyArray<Kind> = [
  {
    check: "keys",
    folder: ({ keysDirectory }) => keysDirectory,
    depth: 0,
    isRight: readable(ApiKeysFile.File),
    rest: "Other keys are not affected; set this one again with tokenkeep key set.",
  },
  {
    check: "clients",
    folder: ({ clientsDirectory }) => clientsDirectory,
    depth: 0,
    isRight: readable(Schema.fromJsonString(RegistrationsFile.ClientFile)),
    rest: "The next login at its server registers anew.",
  },
  {
    check: "clients",
    folder: ({ clientsDirectory }) => `${clientsDirectory}/resources`,
    depth: 0,
    isRight: readable(Schema.fromJsonString(RegistrationsFile.FoundFile)),
    rest: "The next login at its server finds it anew.",
  },
  {
    check: "grants",
    folder: ({ grantsDirectory }) => grantsDirectory,
    depth: 0,
    isRight: readable(KeptGrants.File),
    rest: "It grants nothing; other grants are not affected.",
  },
  {
    check: "adopted",
    folder: ({ adoptedDirectory }) => adoptedDirectory,
    depth: 1,
    isRight: readable(Adoptions.File),
    rest: "The tool's file is not fed any more; the login itself is safe.",
  },
]

const jsonFilesIn = Effect.fnUntraced(function* (folder: string, depth: Kind["depth"]) {
  const files = yield* PrivateFile.make
  const paths = yield* Path.Path
  const namesIn = (folder: string) =>
    files.list(folder, "File").pipe(
      Effect.map((names) => names.filter((name) => name.endsWith(".json")).map((name) => paths.join(folder, name))),
      // That it cannot be opened is said of the folder.
      Effect.orElseSucceed((): ReadonlyArray<string> => []),
    )
  if (depth === 0) return yield* namesIn(folder)
  const inner = yield* Effect.orElseSucceed(files.list(folder, "Directory"), () => [])
  return (yield* Effect.forEach(inner, (name) => namesIn(paths.join(folder, name)))).flat()
})

const damaged = (check: string, path: string, rest: string): Finding =>
  problem(check, `${oneLine(path)} is damaged, and was left as it is. ${rest}`, moveAwayCommand(path))

const checkKind = Effect.fnUntraced(function* ({ check, depth, folder, isRight, rest }: Kind) {
  const files = yield* PrivateFile.make
  const there = yield* Effect.flatMap(BrokerConfig, (config) => jsonFilesIn(folder(config), depth))
  const found = yield* Effect.forEach(there, (path) =>
    files.read(path).pipe(
      Effect.map((text) => (Option.exists(text, (content) => !isRight(content)) ? [damaged(check, path, rest)] : [])),
      Effect.catch(({ message }) => Effect.succeed([problem(check, message, `chmod 600 ${quoted(path)}`)])),
    ),
  )
  return { check, findings: atMost(found.flat()), count: there.length }
})

/** What is at the place of a file, and cannot be read: closed to us, or a pipe, a folder or the like. */
const unreadable = Effect.fnUntraced(function* (check: string, path: string, message: string) {
  const fs = yield* FileSystem.FileSystem
  const there = yield* Effect.option(fs.stat(path))
  const isOther = Option.exists(there, ({ type }) => type !== "File")
  return [problem(check, message, isOther ? moveAwayCommand(path) : `chmod 600 ${quoted(path)}`)]
})

const config = Effect.gen(function* () {
  const { configFile } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  return yield* ConfigFile.read(files, configFile).pipe(
    Effect.as([]),
    Effect.catchTags({
      ConfigCorrupt: (error) => Effect.succeed([problem("config", error.message, moveAwayCommand(configFile))]),
      StoreUnavailable: ({ message }) => unreadable("config", configFile, message),
    }),
  )
})

const usage = Effect.gen(function* () {
  const { usageFile } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const isRight = readable(UsageFile.File)
  const rest = "Requests are counted anew; nothing else is lost."
  return yield* files.read(usageFile).pipe(
    Effect.map((text) =>
      Option.exists(text, (content) => !isRight(content)) ? [damaged("usage", usageFile, rest)] : [],
    ),
    Effect.catch(({ message }) => unreadable("usage", usageFile, message)),
  )
})

/** A log that is larger is for `audit verify`, which takes its time. */
const largestLog = 16 * 1024 * 1024

const audit = Effect.gen(function* () {
  const { auditDirectory } = yield* BrokerConfig
  const { look, read } = yield* AuditFile.reader(auditDirectory)
  const { head, parts } = yield* look
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  if (size > largestLog) {
    return [
      skipped("audit", "The log is long, and was not read. To read it, which takes a while: tokenkeep audit verify"),
    ]
  }
  const verifier = AuditEntry.makeVerifier(sha256, { head, anchor: Option.none() })
  for (const part of parts) verifier.file(part.name, yield* read(part))
  const { problems } = verifier.report()
  const places = problems.length === 1 ? "one place" : `${problems.length} places`
  return problems.length === 0
    ? []
    : [
        problem(
          "audit",
          `The log is not as it was written, in ${places}. It was left as it is, and is written on; this says where:`,
          "tokenkeep audit verify",
        ),
      ]
}).pipe(
  Effect.catch((error) =>
    Effect.map(BrokerConfig, ({ auditDirectory }) => [
      problem("audit", error.message, `chmod -R u+rwX ${quoted(auditDirectory)}`),
    ]),
  ),
)

/** Nobody takes so long to write a file. */
const longestWrite = Duration.toMillis("1 minute")

/** What writers that were killed have left, which may be secrets; but for what `isWanted`, since a login can be saved by it. */
export const leftovers = Effect.fnUntraced(function* (isWanted: (path: string) => boolean) {
  const config = yield* BrokerConfig
  const paths = yield* Path.Path
  const now = yield* Clock.currentTimeMillis
  const isLeft = ({ info, path }: There) =>
    info.type === "File" &&
    path.endsWith(".tmp") &&
    Option.exists(info.mtime, (at) => now - at.getTime() > longestWrite) &&
    !isWanted(path)
  const beside = yield* Effect.forEach([config.configFile, config.usageFile], (path) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = paths.dirname(path)
      const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), () => [])
      // A folder that somebody chose may hold files of others, too.
      const ours = names.filter((name) => name.startsWith(`${paths.basename(path)}.`))
      const there = yield* Effect.forEach(ours, (name) => look(paths.join(folder, name)))
      return there.flatMap((one) => (one === "unreadable" ? [] : Option.toArray(one)))
    }),
  )
  const within = yield* Effect.forEach(privateFolders(config), walk)
  const left = [
    ...new Set([...beside.flat(), ...within.flatMap(({ found }) => found)].filter(isLeft).map(({ path }) => path)),
  ]
  const [first] = left
  if (first === undefined) return []
  const what = left.length === 1 ? `${oneLine(first)} was` : `${left.length} files were, like ${oneLine(first)},`
  return [
    warning(
      "leftovers",
      `${what} left by a process that was killed while it wrote, and may hold secrets. What it was to replace is whole.`,
      `rm ${left.slice(0, 20).map(quoted).join(" ")}`,
    ),
  ]
})

/** Where an account's name is too long for that of a file, it is lost with the content; others are found as logins. */
const nameless = Effect.gen(function* () {
  const { accountsDirectory } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const paths = yield* Path.Path
  const isLong = (path: string) =>
    [paths.basename(paths.dirname(path)), paths.basename(path, ".json")].some(
      (name) => FileName.decode(name) === "too long to tell",
    )
  const long = (yield* jsonFilesIn(accountsDirectory, 1)).filter(isLong)
  const found = yield* Effect.forEach(long, (path) =>
    Effect.orElseSucceed(files.read(path), () => Option.none()).pipe(
      Effect.map((text) =>
        Option.exists(text, isAccount) ? [] : [damaged("logins", path, "Log in again, once it is moved.")],
      ),
    ),
  )
  return found.flat()
})

const isAccount = readable(Schema.fromJsonString(AccountKey))

/** Whether all files can be understood but those that are known as the ones of accounts. */
export const contents = Effect.gen(function* () {
  const ofKinds = yield* Effect.forEach(kinds, checkKind)
  const others = [yield* nameless, yield* config, yield* usage, yield* audit].flat()
  const found = [...others, ...ofKinds.flatMap(({ findings }) => findings)]
  const count = (check: string) => ofKinds.reduce((sum, kind) => (kind.check === check ? sum + kind.count : sum), 0)
  const counted = ["keys", "clients", "grants", "adopted"]
    .filter((check) => count(check) > 0)
    .map((check) => `${count(check)} in ${check}`)
  const all = ["configuration, counts and log", ...counted].join(", ")
  return orOk(found, "files", `${all}: as they should be`)
}).pipe(Effect.provide(SecureRandom.layerWebCrypto))
