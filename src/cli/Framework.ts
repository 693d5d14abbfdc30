/**
 * How the framework of commands speaks: as we do, and of what we have.
 */
import { Effect, Layer, Stdio } from "effect"
import { CliConfig, CliOutput, GlobalFlag, TerminalCapabilities } from "effect/cli"
import * as HelpText from "./HelpText.ts"
import * as Screen from "./Screen.ts"

const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]

/** What goes wrong is said once, at the end. */
const presenter: CliOutput.Presenter = {
  present: (event) => (event._tag === "InvalidInvocation" ? Effect.void : CliOutput.defaultPresenter.present(event)),
}

/** What a command says of its end by itself is an error. */
const layerFormatter = Layer.unwrap(
  Effect.map(Screen.stdout, (look) =>
    CliOutput.layer({
      ...CliOutput.defaultFormatter({ colors: look.hasColour }),
      formatHelpDoc: (doc) => HelpText.format(doc, look),
      formatError: ({ message }) => `tokenkeep: ${message}`,
    }),
  ),
)

/** What may be shown, and asked, where the command of a plugin leaves that to the framework, which does it on stdout. */
const layerCapabilities = Layer.effect(
  TerminalCapabilities.TerminalCapabilities,
  Effect.gen(function* () {
    const { canRedraw, hasColour, isTerminal } = yield* Screen.stdout
    const { stdinIsTerminal } = yield* Stdio.Stdio
    return {
      canColor: hasColour,
      canAnimate: canRedraw,
      canPrompt: isTerminal && canRedraw && (yield* stdinIsTerminal),
    }
  }),
)

/** What the framework takes from whoever runs commands. */
export const layer = Layer.mergeAll(
  Layer.succeed(CliConfig.CliConfig, { builtIns }),
  Layer.succeed(CliOutput.Presenter, presenter),
  layerFormatter,
  layerCapabilities,
)
