/**
 * A command in this process, before a person at a terminal, or before nobody: what it says is kept, and the test presses the
 * keys.
 */
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Console, Effect, FileSystem, Layer, Sink, Stdio, Stream, Terminal } from "effect"
import { Command } from "effect/cli"
import * as GlobalFlags from "../../src/cli/GlobalFlags.ts"
import { Columns } from "../../src/cli/Screen.ts"
import * as Keyboard from "./Keyboard.ts"

export interface Place {
  /** Whether all streams are one terminal; if not, stdin has `stdin`. */
  readonly isTerminal?: boolean
  readonly columns?: number
  readonly rows?: number
  readonly stdin?: string
  /** The files that there are. */
  readonly files?: ReadonlyArray<string>
  /** All that is in the environment. */
  readonly environment?: { readonly [name: string]: string }
}

/** Lets what waits for nothing but the loading of code go on. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

export const make = ({
  columns = 80,
  environment = {},
  files = [],
  isTerminal = true,
  rows = 24,
  stdin,
}: Place = {}) => {
  const said = { stderr: "", stdout: "" }
  const say = (stream: keyof typeof said, end: string) => (text: unknown) => {
    said[stream] += `${String(text)}${end}`
  }
  const sink = (stream: keyof typeof said) => () =>
    Sink.forEach((chunk: string | Uint8Array) =>
      Effect.sync(() => say(stream, "")(typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk))),
    )
  const { isRead, press, terminal } = Keyboard.make({ columns, rows })
  const isPerson = Effect.succeed(isTerminal)
  const layer = Layer.mergeAll(
    NodeServices.layer,
    FileSystem.layerNoop({ exists: (path) => Effect.succeed(files.includes(path)) }),
    Layer.succeed(Terminal.Terminal, terminal),
    Stdio.layerTest({
      stdinIsTerminal: isPerson,
      stdoutIsTerminal: isPerson,
      stderrIsTerminal: isPerson,
      stderr: sink("stderr"),
      stdout: sink("stdout"),
      stdin: stdin === undefined ? Stream.never : Stream.make(new TextEncoder().encode(stdin)),
    }),
    Layer.succeed(Columns, () => columns),
    Layer.succeed(Console.Console, { ...console, log: say("stdout", "\n"), error: say("stderr", "\n") }),
    ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment })),
  )
  return {
    said,
    /** Waits until it has said that on stderr, however it comes to it. */
    until: (text: string) => Effect.repeat(turn, { until: () => said.stderr.includes(text) }),
    isRead,
    press,
    /** As a terminal sends what is pasted. */
    paste: (text: string) => Effect.forEach(text, (character) => press(character), { discard: true }),
    run: <Name extends string, Input, ContextInput, E, R>(
      command: Command.Command<Name, Input, ContextInput, E, R>,
      args: ReadonlyArray<string>,
    ) =>
      Command.runWith(
        Command.make("tokenkeep").pipe(Command.withSubcommands([command]), Command.withGlobalFlags(GlobalFlags.all)),
        { version: "0" },
      )(args).pipe(Effect.provide(layer)),
  }
}
