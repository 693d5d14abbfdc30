/**
 * `login`: begins a login, tells the person what to do, and waits for it. Everything is said on stderr; with `--json` a
 * program is told on stdout what it needs to say it itself.
 */
import { Data, DateTime, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Broker } from "../broker/Broker.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import * as Account from "../domain/AccountKey.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { ProviderNotConfigured } from "../domain/Errors.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"
import type { PublicToken } from "../domain/Token.ts"
import { account } from "./AccountArgument.ts"
import * as Failures from "./Failures.ts"
import * as FlowChoice from "./login/FlowChoice.ts"
import { Json } from "./GlobalFlags.ts"
import * as LoginInstructions from "./login/LoginInstructions.ts"
import * as LoginJson from "./login/LoginJson.ts"
import * as LoginOutcome from "./login/LoginOutcome.ts"
import * as LoginScreen from "./login/LoginScreen.ts"
import { Words } from "./login/LoginWords.ts"
import { nearestTo } from "./NearestName.ts"
import { asTyped, say } from "./ProgramName.ts"
import * as ProviderPicker from "./login/ProviderPicker.ts"
import * as Screen from "./Screen.ts"
import * as ShownLogin from "./login/ShownLogin.ts"
import { inWords } from "./DurationInWords.ts"

/**
 * `login [ACCOUNT]`. Needs a `Broker` and the platform. Everything for a person is on stderr. Fails as `initiate`, `poll`
 * and `exchange` of the broker do; where the name is nearly one that is known, with `ProviderMistyped`; and with `UsageError`
 * where somebody would have to be asked who is not there. Interrupted, the login in progress is cancelled at the broker.
 */
export const login = Command.make(
  "login",
  {
    account: Argument.optional(account),
    flow: Flag.Literals("flow", ["auto", "browser", "device", "paste"]).pipe(
      Flag.withDescription("How to grant access: in a browser here, by a code elsewhere, by hand, or as it suits"),
      Flag.withDefault("auto"),
    ),
    noBrowser: Flag.Boolean("no-browser").pipe(
      Flag.withDescription("Only print the address, do not open it; BROWSER in the environment says what opens it"),
      Flag.withDefault(false),
    ),
    copy: Flag.Boolean("copy").pipe(
      Flag.withDescription("Copy the code, or else the address, to the clipboard"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("login")(function* (input) {
    const broker = yield* Broker
    const words = yield* Words
    const isForProgram = yield* Json
    const account = yield* Option.match(input.account, { onNone: () => ProviderPicker.pick, onSome: Effect.succeed })
    const named = input.flow === "auto" ? Option.none() : Option.some(input.flow)
    const begun = yield* Effect.catchTag(FlowChoice.begin(account, named), "ProviderNotConfigured", orNearest(account))
    const shown = ShownLogin.make(begun, account, yield* DateTime.now)
    const look = yield* Screen.stderr
    const inPlace = (text: string) => (look.isTerminal ? LoginScreen.paragraph(text, look).join("\n") : text)
    // The terminal has just shown the key that was pressed; what is drawn again goes over it.
    const cancelled = isForProgram
      ? LoginJson.cancelled(words.cancelled)
      : say(`${look.canRedraw ? "" : "\n"}${inPlace(words.cancelled)}`)
    const paste = yield* LoginOutcome.inputFor(begun)
    const token = yield* LoginInstructions.give(shown, account, { ...input, canPaste: paste !== "none" }).pipe(
      Effect.andThen(LoginOutcome.wait(begun, shown, paste)),
      Effect.catchTag("Stopped", () => Effect.interrupt),
      Effect.onInterrupt(() => Effect.andThen(Effect.ignore(broker.cancel(begun.sessionId)), cancelled)),
    )
    if (isForProgram) return yield* LoginJson.loggedIn(shown, token)
    const mark = look.isTerminal && look.isUnicode ? `${look.paint("green", "✓")} ` : ""
    yield* say(inPlace(`${mark}${words.loggedIn(shown.account)} ${yield* validity(token)}`))
  }, Effect.tapError(Failures.mark)),
).pipe(
  Command.withDescription("Log in at a provider"),
  Command.withExamples([
    { command: "tokenkeep login example" },
    { command: "tokenkeep login example:work --flow device --no-browser" },
    { command: "tokenkeep login example --json", description: "For a program that shows the code itself" },
  ]),
)

/** No provider is called that, and another nearly is. */
export class ProviderMistyped extends Data.TaggedError("ProviderMistyped")<{ readonly message: string }> {}

const orNearest = ({ bucket }: AccountKey) =>
  Effect.fnUntraced(function* (unknown: ProviderNotConfigured) {
    if (unknown.missing !== undefined) return yield* unknown
    const broker = yield* Broker
    const words = yield* Words
    const configured = yield* Effect.orElseSucceed(broker.listProviders, () => [])
    const known = (yield* ProviderDefinitions).map(({ name }) => name)
    const nearest = nearestTo(unknown.provider, [...configured, ...known])
    if (nearest === undefined) return yield* unknown
    const command = loginCommand(Account.make(nearest, bucket))
    return yield* new ProviderMistyped({
      message: yield* asTyped(words.ifYouMeant(unknown.message, printable(nearest), command)),
    })
  })

const validity = Effect.fnUntraced(function* ({ expiresAt }: PublicToken) {
  const words = yield* Words
  if (expiresAt === undefined) return words.noExpiry
  return words.validFor(inWords(DateTime.distance(yield* DateTime.now, expiresAt)))
})
