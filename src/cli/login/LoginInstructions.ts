/**
 * Tells the person what to do for a login that was begun, and does what can be done for them: opens the page, copies the
 * code.
 */
import { Effect, Option, Terminal } from "effect"
import * as Account from "../../domain/AccountKey.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import * as Browser from "./Browser.ts"
import * as Clipboard from "./Clipboard.ts"
import * as Desktop from "./Desktop.ts"
import { Json } from "../GlobalFlags.ts"
import * as LoginJson from "./LoginJson.ts"
import * as LoginScreen from "./LoginScreen.ts"
import { Words } from "./LoginWords.ts"
import { say } from "../ProgramName.ts"
import * as QrCode from "./QrCode.ts"
import * as Screen from "../Screen.ts"
import type { ShownLogin } from "./ShownLogin.ts"
import { inWords } from "../DurationInWords.ts"

export interface Wishes {
  readonly noBrowser: boolean
  readonly copy: boolean
  /** Whether the person can paste where they ended. */
  readonly canPaste: boolean
}

/** Tells it all. */
export const give = Effect.fnUntraced(function* (shown: ShownLogin, account: AccountKey, wishes: Wishes) {
  const words = yield* Words
  const look = yield* Screen.stderr
  const isForProgram = yield* Json
  const isOpened = yield* openFor(shown, wishes)
  yield* isForProgram
    ? LoginJson.begun(shown)
    : look.isTerminal
      ? lay(shown, account, { ...wishes, look, isOpened })
      : print(shown, account, isOpened)
  if (wishes.copy) yield* copyFor(shown)
  if (shown.flow === "paste" && !look.isTerminal && !isForProgram) yield* say(words.plainPaste)
})

/** Opens the page, where that makes sense; whether that went well, if it was tried. */
const openFor = Effect.fnUntraced(function* ({ address }: ShownLogin, { noBrowser }: Wishes) {
  if (noBrowser || Option.isNone(address) || (yield* Screen.isUnattended) || !(yield* Desktop.canOpen)) {
    return Option.none<boolean>()
  }
  return Option.some(yield* Browser.open(address.value))
})

/** As asked; that it did not work is worth a warning. */
const copyFor = Effect.fnUntraced(function* ({ address, device }: ShownLogin) {
  const words = yield* Words
  const copied = yield* Option.match(device, {
    onSome: ({ code }) => Clipboard.copyCode(code),
    onNone: () =>
      Option.match(address, { onNone: () => Effect.succeed(false), onSome: (url) => Clipboard.copyAddress(url) }),
  })
  if (copied && (yield* Json)) return
  const look = yield* Screen.stderr
  const message = copied ? (Option.isSome(device) ? words.copied.code : words.copied.address) : words.notCopied
  yield* say(look.isTerminal ? [...LoginScreen.paragraph(message, look), ""].join("\n") : message)
})

/** Where tokenkeep has registered itself there is nothing for a person to register. */
const isOwnClient = ({ flow }: ShownLogin, { provider }: AccountKey) =>
  flow === "browser" && !Account.isAddress(provider)

/** In so many lines, for whatever reads them. */
const print = Effect.fnUntraced(function* (shown: ShownLogin, account: AccountKey, isOpened: Option.Option<boolean>) {
  const words = yield* Words
  const time = inWords(shown.expiresIn)
  const or = Option.getOrElse(() => words.badAddress)
  if (Option.isSome(shown.notice)) yield* say(words.note(shown.notice.value))
  yield* say(
    Option.match(shown.device, {
      onSome: ({ address, code }) => words.plainCode(or(address), code, time),
      onNone: () => words.plainPage(or(shown.address), time, isOwnClient(shown, account) ? words.redirectHint : ""),
    }),
  )
  if (Option.contains(isOpened, false)) yield* say(words.noBrowser)
})

/** For a person at a terminal. */
const lay = Effect.fnUntraced(function* (
  shown: ShownLogin,
  account: AccountKey,
  { canPaste, isOpened, look }: Wishes & { readonly look: Screen.Look; readonly isOpened: Option.Option<boolean> },
) {
  const words = yield* Words
  const terminal = yield* Terminal.Terminal
  // What is not known is the size that terminals once had.
  const rows = (yield* terminal.rows) || 24
  // A phone could not be sent back to this machine, as the browser flow has it.
  const qr =
    shown.flow === "browser" || Option.isNone(shown.address)
      ? Option.none()
      : yield* QrCode.make(shown.address.value, look)
  const layout = { look, words, rows, qr }
  const or = Option.getOrElse(() => words.badAddress)
  if (Option.isSome(shown.notice)) {
    yield* say(["", ...LoginScreen.paragraph(words.note(shown.notice.value), look)].join("\n"))
  }
  const lines = Option.match(shown.device, {
    onSome: ({ address, code }) => LoginScreen.forCode(code, or(address), shown.account, layout),
    onNone: () =>
      LoginScreen.forPage(
        { account: shown.account, address: or(shown.address) },
        {
          isOpened: Option.contains(isOpened, true),
          hints: [
            ...(Option.contains(isOpened, false) ? [words.noBrowser] : []),
            ...(isOwnClient(shown, account) ? [words.redirectHint] : []),
            ...(canPaste ? [shown.flow === "paste" ? words.thenPaste : words.ifUnreachable] : []),
          ],
        },
        layout,
      ),
  })
  yield* say(lines.join("\n"))
})
