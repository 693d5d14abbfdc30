/**
 * All that `login` says, in one value: a program in which the command is mounted may say some of it in its own words.
 *
 * Names, codes and addresses arrive here as they may be shown. Commands in a sentence are those of `tokenkeep`; where we
 * are mounted elsewhere they are said as they are typed there.
 */
import { Context } from "effect"
import type { FlowName } from "../FlowName.ts"

/**
 * What `login` says. What is not told otherwise is as in `english`. Times are in words already, like `10 min`; accounts,
 * names, codes, addresses and problems are printable; a `command` is one to type.
 */
export interface LoginWords {
  // Which account
  readonly noProvider: string
  readonly whichProvider: (names: ReadonlyArray<string>) => string
  readonly pickProvider: string
  readonly nothingPicked: string
  readonly ifYouMeant: (problem: string, name: string, command: string) => string
  // What to do, on a terminal
  readonly title: (account: string) => string
  readonly note: (text: string) => string
  readonly open: string
  readonly enter: string
  readonly scan: string
  readonly openInBrowser: string
  readonly opened: string
  readonly onlyYourOwn: string
  readonly thenPaste: string
  readonly ifUnreachable: string
  readonly redirectHint: string
  readonly badAddress: string
  // What to do, where nothing can be laid out
  readonly plainCode: (address: string, code: string, time: string) => string
  readonly plainPage: (address: string, time: string, hint: string) => string
  readonly plainPaste: string
  // While it waits
  readonly waiting: { readonly [flow in FlowName]: string }
  readonly left: (time: string) => string
  readonly cancels: string
  readonly pasteHere: string
  readonly pasted: (characters: number) => string
  // What came of it
  readonly noBrowser: string
  readonly copied: { readonly code: string; readonly address: string }
  readonly notCopied: string
  readonly nothingPasted: string
  readonly notTheAnswer: string
  readonly notDelivered: (where: string) => string
  readonly notTaken: string
  readonly nobodyToPaste: string
  readonly nobodyToAsk: (problem: string) => string
  readonly cancelled: string
  readonly loggedIn: (account: string) => string
  readonly validFor: (time: string) => string
  readonly noExpiry: string
}

export const english: LoginWords = {
  noProvider: "No provider is configured. Add one with: tokenkeep provider add",
  whichProvider: (names) => `Which provider? Name one of: ${names.join(", ")}`,
  pickProvider: "Where do you want to log in?",
  nothingPicked: "No login was begun.",
  ifYouMeant: (problem, name, command) => `${problem}. If you meant ${name}, log in with: ${command}`,

  title: (account) => `Log in to ${account}`,
  note: (text) => `Note: ${text}`,
  open: "Open",
  enter: "Enter",
  scan: "Or scan this with a phone.",
  openInBrowser: "Open this address in a browser:",
  opened: "Your browser has been asked to open this address:",
  onlyYourOwn: "Enter it only because you have just started this login yourself.",
  thenPaste: "Then paste the code, or the address of the page that you end on, and press Enter.",
  ifUnreachable: "If you end on a page that cannot be reached, paste its address below and press Enter.",
  // What a person sees of it is the provider's page; nothing comes back to this program.
  redirectHint:
    "If the page complains about the redirect URI: register http://127.0.0.1/callback at the provider, and say so with --redirect-uri at tokenkeep provider add.",
  badAddress: "(the address is not one that may be opened)",

  plainCode: (address, code, time) => `
To log in, open   ${address}
and enter         ${code}

Enter it only because you have just started this login yourself.
Waiting for you; the code lives for ${time}. Ctrl-C cancels.`,
  plainPage: (address, time, hint) => `
To log in, open this address in a browser:

${address}

You have ${time}. Ctrl-C cancels.${hint === "" ? "" : `\n${hint}`}`,
  plainPaste: "Paste the code, or the address of the page that you end on, and press Enter:",

  waiting: {
    browser: "Waiting for your browser",
    device: "Waiting for you to enter it",
    paste: "Waiting for what you paste",
  },
  left: (time) => `${time} left`,
  cancels: "Ctrl-C cancels",
  pasteHere: "Paste here:",
  pasted: (characters) => `${characters} characters, not shown`,

  noBrowser: "No browser could be opened; open the address yourself.",
  copied: { code: "The code is on the clipboard.", address: "The address is on the clipboard." },
  notCopied: "Nothing was copied: the clipboard could not be used.",
  nothingPasted: "Nothing was pasted. Begin a new login.",
  notTheAnswer:
    "That is not the address that this login ends on. Nothing was sent; paste the whole address of the page, from its http:// on.",
  notDelivered: (where) =>
    `Nobody takes answers at ${where} on this machine, so the login runs on another one. Open the address there, or begin again with --flow device or --flow paste.`,
  notTaken: "That address was not taken for the answer to this login, which is still waiting.",
  nobodyToPaste:
    "With --no-input, or CI in the environment, nobody can paste anything. Log in where somebody sits, or with --flow device.",
  nobodyToAsk: (problem) =>
    `${problem} With --no-input, or CI in the environment, only a login by a code that is entered elsewhere can be waited for. Log in where somebody sits.`,
  cancelled: "The login was cancelled.",
  loggedIn: (account) => `Logged in as ${account}.`,
  validFor: (time) => `The access token is valid for ${time}.`,
  noExpiry: "The access token has no expiry.",
}

export class Words extends Context.Reference<LoginWords>("tokenkeep/cli/login/LoginWords", {
  defaultValue: () => english,
}) {}
