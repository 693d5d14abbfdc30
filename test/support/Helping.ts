/**
 * Helper commands in this process, with what a tool says on stdin, over a broker that has one token.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, DateTime, Effect, Layer, Redacted, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import { TestConsole } from "effect/testing"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import type * as Account from "../../src/domain/AccountKey.ts"
import { ApiKeyNotFound, TokenNotFound } from "../../src/domain/Errors.ts"
import type { PublicToken } from "../../src/domain/Token.ts"
import { ExitStatus } from "../../src/cli/ExitCode.ts"
import * as GlobalFlags from "../../src/cli/GlobalFlags.ts"
import { helper } from "../../src/cli/Helper.ts"
import { ThisProgram } from "../../src/cli/ThisProgram.ts"

export const token: PublicToken = {
  accessToken: Redacted.make("token-EXAMPLE"),
  tokenType: "bearer",
  expiresAt: DateTime.makeUnsafe(1_900_000_000_000),
  scope: "repo gist",
  extras: {},
}

/** A broker with a token of one account, which counts what it is asked for. */
export const brokerOf = (known = "github", handed: PublicToken = token) => {
  const calls: Array<string> = []
  const give = (operation: string) => (account: Account.AccountKey) =>
    Effect.suspend(() => {
      calls.push(`${operation} ${account}`)
      return account.toString() === known ? Effect.succeed(handed) : Effect.fail(TokenNotFound.make({ account }))
    })
  const layer = Layer.mock(Broker, {
    getToken: give("get"),
    refreshToken: give("refresh"),
    getApiKey: (name) =>
      name === "hub" ? Effect.succeed(Redacted.make("sk-EXAMPLE")) : Effect.fail(ApiKeyNotFound.make({ name })),
  })
  return { calls, layer }
}

const program = Command.make("tokenkeep").pipe(
  Command.withSubcommands([helper]),
  Command.withGlobalFlags(GlobalFlags.all),
)

export interface Asked {
  readonly home: string
  readonly hosts?: { readonly [host: string]: unknown }
  readonly stdin?: string
  readonly environment?: { readonly [name: string]: string }
  readonly broker?: Layer.Layer<Broker>
  /** How this program is started. */
  readonly program?: ReadonlyArray<string>
}

/** What a command says, and how it ends; failures are said as errors. */
export const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, asked: Asked) {
  const { broker = brokerOf().layer, environment = {}, home, hosts, stdin = "" } = asked
  if (hosts !== undefined) place(home, "keep/config.json", JSON.stringify({ hosts }))
  let code = 0
  const before = yield* TestConsole.logLines
  const beforeErrors = yield* TestConsole.errorLines
  const error = yield* Command.runWith(program, { version: "0" })(["helper", ...args]).pipe(
    Effect.provideService(ThisProgram, asked.program ?? ["/opt/bin/tokenkeep"]),
    Effect.provideService(ExitStatus, (told) => {
      code = told
    }),
    Effect.provide(
      Layer.mergeAll(
        broker,
        BrokerConfig.layer(`${home}/keep`),
        ConfigProvider.layer(ConfigProvider.fromUnknown({ HOME: home, PATH: "/usr/bin:/bin", ...environment })),
        Stdio.layerTest({ stdin: Stream.make(new TextEncoder().encode(stdin)) }),
      ).pipe(Layer.provideMerge(NodeServices.layer)),
    ),
    Effect.as(undefined),
    Effect.catch((error) => Effect.succeed("errors" in error ? error.errors.map(String).join() : error.message)),
  )
  return {
    stdout: (yield* TestConsole.logLines)
      .slice(before.length)
      .map((line) => `${line}\n`)
      .join(""),
    stderr: (yield* TestConsole.errorLines)
      .slice(beforeErrors.length)
      .map((line) => `${line}\n`)
      .join(""),
    error,
    code,
  }
})

/** Puts a file into a home. */
export const place = (home: string, name: string, text: string): string => {
  const path = join(home, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

/** All files under a home, by their names. */
export const filesIn = (home: string): { readonly [name: string]: string } =>
  Object.fromEntries(
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(home.length + 1), readFileSync(path, "utf8")]),
  )
