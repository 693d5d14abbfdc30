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

/** What else there is to know of the program, for whom a page of a manual would be. */
const manual: ReadonlyArray<HelpText.Section> = [
  {
    title: "ENVIRONMENT",
    rows: [
      ["TOKENKEEP_HOME", "One folder for everything; otherwise the user's own directories are used"],
      ["TOKENKEEP_SOCKET", "Where a tokenkeep serve listens that is asked instead"],
      ["TOKENKEEP_CAPABILITY, TOKENKEEP_CAPABILITY_FD", "What is shown there, or the descriptor that it is read from"],
      ["TOKENKEEP_SESSION_TIMEOUT_SECONDS", "The life of a login in progress, 600 by default"],
      ["BROWSER", "What opens pages"],
      ["NO_COLOR, CLICOLOR_FORCE, CI", "No colour; colour everywhere; nobody is asked anything"],
    ],
  },
  {
    title: "EXIT CODES",
    rows: [
      ["0, 1, 2", "ok, failure, usage"],
      ["3", "the host does not grant it"],
      ["4", "a login is needed"],
      ["5", "the provider is down, or wants patience: try again later"],
      ["6", "something that is kept is damaged, or busy"],
      ["7", "no host answers"],
      ["130", "cancelled"],
    ],
  },
]

/** What a command says of its end by itself is an error. */
const layerFormatter = Layer.unwrap(
  Effect.map(Screen.stdout, (look) =>
    CliOutput.layer({
      ...CliOutput.defaultFormatter({ colors: look.hasColour }),
      formatHelpDoc: (doc) => HelpText.format(doc, look, manual),
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
