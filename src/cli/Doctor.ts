/**
 * `doctor`: finds what is wrong, and says for each the command that mends it. It changes nothing, refreshes nothing, and
 * works where nothing else does: a check that cannot be made says so, and the others go on.
 */
import * as Cause from "effect/Cause"
import { Console, Effect, Layer, Option, References } from "effect"
import { Command, Flag } from "effect/cli"
import { Digest, SecureRandom } from "effect/crypto"
import { ascii } from "../domain/AsciiJson.ts"
import { Accounts } from "../broker/Accounts.ts"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as BrokerConfigEnv from "../broker/BrokerConfigEnv.ts"
import * as ProvidersByAddress from "../broker/ProvidersByAddress.ts"
import * as TokenStoreFile from "../broker/TokenStoreFile.ts"
import { Search } from "../import/Search.ts"
import { ProviderFetch } from "../oauth/ProviderFetch.ts"
import * as Commands from "./Commands.ts"
import * as FileChecks from "./doctor/FileChecks.ts"
import { type Finding, problem } from "./doctor/Finding.ts"
import * as LoginChecks from "./doctor/LoginChecks.ts"
import * as MachineChecks from "./doctor/MachineChecks.ts"
import * as ProviderChecks from "./doctor/ProviderChecks.ts"
import * as SocketChecks from "./doctor/SocketChecks.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Failures from "./Failures.ts"
import { Json } from "./GlobalFlags.ts"
import { LoginStatus } from "./status/LoginStatus.ts"
import * as ProcessHygiene from "./ProcessHygiene.ts"
import * as Screen from "./Screen.ts"
import * as Lines from "./Lines.ts"

export const doctor = Command.make(
  "doctor",
  {
    offline: Flag.Boolean("offline").pipe(
      Flag.withDescription("Ask no provider, and so learn nothing of the network and the clock"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("doctor")(function* ({ offline }) {
    const findings = yield* examine(offline)
    yield* (yield* Json) ? Console.log(ascii({ version: 1, findings })) : show(findings)
    if (findings.some(({ level }) => level === "problem")) yield* ExitCode.set(1)
  }),
).pipe(
  Command.withShortDescription("Find what is wrong, and what mends it"),
  Command.withDescription(
    "Find what is wrong with this machine, with what is kept, with the sockets and with the providers, and say for each the command that mends it. Nothing is changed, and no token is refreshed or printed. Exits with 1 if there is a problem; warnings are none.",
  ),
  Command.withExamples([{ command: "tokenkeep doctor" }, { command: "tokenkeep doctor --offline --json" }]),
)

/** Refresh tokens are read, so the process is closed to others. Where that cannot be done, the checks say why. */
export const closed = Layer.effectDiscard(Effect.exit(Layer.build(ProcessHygiene.layer)))

/** The findings of a check; where it cannot be made at all, that. */
const guarded = <R>(check: string, effect: Effect.Effect<ReadonlyArray<Finding>, { readonly message: string }, R>) =>
  effect.pipe(
    Effect.catch((error) => Effect.succeed([problem(check, `This could not be looked at. ${error.message}`)])),
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) =>
        Effect.as(Effect.logDebug(Failures.placesOf(Cause.squash(cause)).join(" ")), [
          problem(
            check,
            "This could not be looked at: something unexpected happened inside. --log-level debug says where.",
          ),
        ]),
    ),
  )

/** The variable is named where its value is not what it must be. */
const unsetCommand = (message: string) =>
  Option.map(Option.fromNullOr(/\["([A-Z_]+)"\]/.exec(message)), ([, name]) => `unset ${name}`)

/** What the readers say by the way is found, and said better; but not where somebody wants to hear all. */
const quietly = Effect.updateService(References.MinimumLogLevel, (level) => (level === "Info" ? "None" : level))

/** All findings. */
export const examine = Effect.fnUntraced(function* (isOffline: boolean, lock = MachineChecks.kernelLock) {
  const config = yield* Effect.result(
    Effect.scoped(
      Effect.flatMap(Layer.build(BrokerConfigEnv.layer), (context) => Effect.provide(BrokerConfig, context)),
    ),
  )
  const environment = yield* guarded("environment", SocketChecks.named)
  if (config._tag === "Failure") {
    return [
      ...(yield* guarded(
        "node",
        Effect.map(MachineChecks.node, (finding) => [finding]),
      )),
      problem(
        "environment",
        `The environment is not as it must be, so nothing else was looked at. ${config.failure.message}`,
        Option.getOrUndefined(unsetCommand(config.failure.message)),
      ),
      ...environment,
    ]
  }
  return yield* examineIn(isOffline, lock, environment).pipe(Effect.provideService(BrokerConfig, config.success))
})

const examineIn = Effect.fnUntraced(
  function* (isOffline: boolean, lock: MachineChecks.MakeLock, environment: ReadonlyArray<Finding>) {
    const machine = yield* guarded("machine", MachineChecks.all(lock))
    const { findings: folders, isUsable } = yield* FileChecks.folders
    if (!isUsable) return [...machine, ...folders, ...environment]
    const contents = yield* guarded("files", FileChecks.contents)
    const socket = yield* guarded("socket", SocketChecks.host)
    const plugins = yield* guarded("plugins", ProviderChecks.plugins(Commands.names))
    const kept = yield* guarded("logins", ofLogins(isOffline).pipe(Effect.provide(yield* places(lock))))
    return [...machine, ...folders, ...contents, ...kept, ...plugins, ...socket, ...environment]
  },
  quietly,
  Effect.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
)

/** The logins and providers as the host has them; nothing of it is told to anybody. */
const places = Effect.fnUntraced(function* (lock: MachineChecks.MakeLock) {
  const files = Layer.mergeAll(TokenStoreFile.layer, yield* LoginChecks.lockLayer(lock), ProvidersByAddress.layer)
  return LoginStatus.layerHost.pipe(
    Layer.provideMerge(Accounts.layer),
    Layer.provideMerge(files),
    Layer.provideMerge(ProviderFetch.layer),
  )
})

const ofLogins = Effect.fnUntraced(function* (isOffline: boolean) {
  const { findings, saving } = yield* LoginChecks.logins
  const left = yield* guarded("leftovers", Effect.flatMap(LoginChecks.savingFiles(saving), FileChecks.leftovers))
  const copies = yield* guarded("copies", LoginChecks.copies.pipe(Effect.provide(Search.layer)))
  const { findings: usable, records } = yield* ProviderChecks.records(yield* LoginChecks.providersInUse)
  const network = yield* guarded("network", ProviderChecks.network(records, isOffline))
  return [...findings, ...left, ...copies, ...usable, ...network]
})

const marks = {
  ok: { style: "green", unicode: "✓", ascii: "ok  " },
  warning: { style: "yellow", unicode: "!", ascii: "warn" },
  problem: { style: "red", unicode: "✗", ascii: "BAD " },
  skipped: { style: "dim", unicode: "-", ascii: "skip" },
} as const satisfies { readonly [level in Finding["level"]]: object }

const show = Effect.fnUntraced(function* (findings: ReadonlyArray<Finding>) {
  const look = yield* Screen.stdout
  const width = Math.max(...findings.map(({ check }) => check.length))
  const arrow = look.isUnicode ? "→" : "->"
  const lines = findings.flatMap(({ check, command, level, message }) => {
    const mark = look.isUnicode ? marks[level].unicode : marks[level].ascii
    const indent = " ".repeat(mark.length + width + 3)
    const room = look.isTerminal ? Math.max(30, look.columns() - indent.length) : Infinity
    const [first = "", ...rest] = Lines.wrapped(message, room)
    return [
      `${look.paint(marks[level].style, mark)} ${look.paint("bold", check.padEnd(width))}  ${level === "ok" || level === "skipped" ? look.paint("dim", first) : first}`,
      ...rest.map((line) => `${indent}${level === "ok" || level === "skipped" ? look.paint("dim", line) : line}`),
      // Not wrapped: it is to be copied.
      ...(command === undefined ? [] : [`${indent}${look.paint("cyan", `${arrow} ${command}`)}`]),
    ]
  })
  yield* Console.log([...lines, "", summary(findings)].join("\n"))
})

const summary = (findings: ReadonlyArray<Finding>): string => {
  const count = (level: Finding["level"], name: string) => {
    const some = findings.filter((finding) => finding.level === level).length
    return some === 0 ? [] : [`${some} ${name}${some === 1 ? "" : "s"}`]
  }
  const wrong = [...count("problem", "problem"), ...count("warning", "warning")]
  return wrong.length === 0 ? "Nothing is wrong." : `${wrong.join(" and ")}. Nothing was changed.`
}
