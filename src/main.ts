/**
 * The whole program, which runs when it is loaded: the commands, what they run on, and how the process ends.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Runtime } from "effect"
import { Command } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { ascii } from "./domain/AsciiJson.ts"
import { LoginsLost } from "./broker/Accounts.ts"
import * as Commands from "./cli/Commands.ts"
import * as ExitCode from "./cli/ExitCode.ts"
import * as Failures from "./cli/Failures.ts"
import * as Framework from "./cli/Framework.ts"
import * as GlobalFlags from "./cli/GlobalFlags.ts"
import * as Log from "./cli/Log.ts"
import * as PluginCommands from "./cli/plugins/PluginCommands.ts"
import * as PluginLoading from "./cli/plugins/PluginLoading.ts"
import * as Services from "./cli/Services.ts"
import { ProviderDefinitions } from "./providers/ProviderDefinitions.ts"
import { version } from "./version.ts"

/** What is typed, run with the plugins that the configuration lists. */
const tokenkeep = Effect.gen(function* () {
  const { plugins, refused } = yield* PluginLoading.load(Commands.names).pipe(
    Effect.provide([Services.places, SecureRandom.layerWebCrypto]),
    // Whatever needs the configuration, or the environment, says what is wrong with it.
    Effect.orElseSucceed(() => PluginLoading.none),
  )
  yield* Effect.forEach(refused, ({ message }) => Console.error(`tokenkeep: ${message}`), { discard: true })
  const own = yield* Commands.forArguments(process.argv.slice(2))
  const root = Command.make("tokenkeep").pipe(
    Command.withDescription("Keeps OAuth refresh tokens on the host and hands out only what a sandbox needs"),
    Command.withSubcommands([...own, ...PluginCommands.mount(plugins)]),
    Command.withGlobalFlags(GlobalFlags.all),
  )
  return yield* Command.run(root, { version }).pipe(
    Effect.provideService(ProviderDefinitions, ProviderDefinitions.withBuiltIn(plugins)),
  )
})

/** As typed, since what was typed may be what is wrong. What follows `--` is for another program. */
const typed = process.argv.slice(2, [...process.argv, "--"].indexOf("--"))
const isForProgram = typed.includes("--json")
const wantsDetails = /--log-level[ =](all|trace|debug)\b/.test(typed.join(" "))

/** Says what went wrong, and returns the exit code for it. On stdout there is only what was asked for. */
const report = (error: ExitCode.Failure) => {
  const said = isForProgram
    ? Console.log(ascii(Failures.toJson(error)))
    : Console.error(`tokenkeep: ${Failures.inWords(error)}`)
  const isSaid = "errors" in error ? error.errors.length === 0 : !Runtime.getErrorReported(error)
  return Effect.as(isSaid ? Effect.void : said, ExitCode.of(error))
}

/** That a login is lost has been said where it happened. */
const reportDefect = (defect: unknown) =>
  defect instanceof LoginsLost
    ? Effect.succeed(1)
    : Effect.andThen(
        wantsDetails ? Console.error(Failures.placesOf(defect).join("\n")) : Effect.void,
        report({ _tag: "InternalError", message: Failures.unexpected }),
      )

// Whoever read what is said here may be gone; that must not end a refresh in the middle.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

// A terminal that is closed means the same as being told to stop: what is under way is brought to its end first.
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))

/** Ends the process, once all that it said has been taken. */
const exit = (code: number) => process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))

tokenkeep.pipe(
  // Not always 0: what another program has said with its end is said again.
  Effect.map(() => Number(process.exitCode ?? 0)),
  Effect.catch(report),
  Effect.catchDefect(reportDefect),
  Effect.provide(
    Layer.mergeAll(
      NodeServices.layer,
      Framework.layer.pipe(Layer.provide(NodeServices.layer)),
      Log.layer(typed).pipe(Layer.provide(NodeServices.layer)),
    ),
  ),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // Nothing may keep the process from ending: not an open stdin, not a browser that it started.
    teardown: (outcome) =>
      exit(
        Exit.match(outcome, {
          onSuccess: (code) => (typeof code === "number" ? code : 0),
          // Interrupted. A server that was told to stop has done as it was told, and says so itself.
          onFailure: (cause) => (Cause.hasDies(cause) ? 1 : Number(process.exitCode ?? 130)),
        }),
      ),
  }),
)
