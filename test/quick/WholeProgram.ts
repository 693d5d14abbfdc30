/**
 * The whole program's `token` and `helper` in this process, in an environment of its own, and what it says.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Console, Effect, Exit, Layer, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import * as BrokerConfigEnv from "../../src/broker/BrokerConfigEnv.ts"
import * as ExitCode from "../../src/cli/ExitCode.ts"
import { ExitStatus } from "../../src/cli/ExitCode.ts"
import * as GlobalFlags from "../../src/cli/GlobalFlags.ts"
import { helper } from "../../src/cli/Helper.ts"
import * as LocalBroker from "../../src/cli/LocalBroker.ts"
import * as Services from "../../src/cli/Services.ts"
import { token } from "../../src/cli/Token.ts"
import * as Logs from "../support/Logs.ts"

export type Environment = { readonly [name: string]: string }

/** As the program does it, but for closing the process to others, which would close this one. */
const store = LocalBroker.layerWithStatus.pipe(
  Layer.provideMerge(Layer.merge(BrokerConfigEnv.layer.pipe(Layer.provide(NodeServices.layer)), NodeServices.layer)),
)

/** What it says on stdout, what else it says, and its exit code. */
export interface Said {
  readonly stdout: string
  readonly stderr: ReadonlyArray<string>
  readonly code: number
}

export const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: Environment, stdin = "") {
  const out: Array<string> = []
  const errors: Array<string> = []
  let status = 0
  const spoken: Console.Console = {
    ...globalThis.console,
    log: (...words: ReadonlyArray<unknown>) => void out.push(`${words.join(" ")}\n`),
    error: (...words: ReadonlyArray<unknown>) => void errors.push(words.join(" ")),
  }
  const logs = Logs.make()
  const stdio = Stdio.layerTest({ stdin: Stream.make(new TextEncoder().encode(stdin)) })
  const isAsking = "TOKENKEEP_SOCKET" in env
  const commands = isAsking
    ? [
        token.pipe(Command.provide(Services.either)),
        helper.pipe(Command.provide(stdio), Command.provide(Services.either)),
      ]
    : [token.pipe(Command.provide(store)), helper.pipe(Command.provide(stdio), Command.provide(store))]
  const root = Command.make("tokenkeep").pipe(
    Command.withSubcommands(commands),
    Command.provide(Services.places),
    Command.withGlobalFlags(GlobalFlags.all),
  )
  const exit = yield* Command.runWith(root, { version: "0" })(args).pipe(
    Effect.provideService(Console.Console, spoken),
    Effect.provideService(ExitStatus, (code) => {
      status = code
    }),
    Effect.provide([NodeServices.layer, logs.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...env } }))]),
    Effect.match({
      onSuccess: () => ({ code: status, why: "" }),
      onFailure: (error) => ({ code: ExitCode.of(error), why: error.message }),
    }),
    Effect.exit,
  )
  const { code, why } = Exit.isSuccess(exit) ? exit.value : { code: 1, why: "defect" }
  const said: Said = {
    stdout: out.join(""),
    stderr: [...errors, ...logs.lines, ...(why === "" ? [] : [why])],
    code,
  }
  return said
})
