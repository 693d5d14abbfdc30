/**
 * What a person is told to do, laid out for the terminal that they have: the code in a box, a QR code beside it or below it
 * where there is room, and everything also as text. An address stays in one piece, so that it can be copied.
 */
import { Option } from "effect"
import type { LoginWords } from "./LoginWords.ts"
import type { QrCode } from "./QrCode.ts"
import { widthOf, wrapped } from "../Lines.ts"
import type { Look } from "../Screen.ts"
import type { ShownLogin } from "./ShownLogin.ts"

const margin = "  "

/** Between the text and the QR code. */
const gap = 4

/** Text is not laid out narrower than that, nor wider than one likes to read. */
const narrowest = 36
const widest = 76

/** Rows for what was typed before, and what waits after. */
const otherRows = 5

const box = (text: string, look: Look): ReadonlyArray<string> => {
  const [topLeft, topRight, bottomLeft, bottomRight, across, down] = look.isUnicode ? "╭╮╰╯─│" : "++++-|"
  const inner = `   ${text}   `
  const line = (across ?? "").repeat(widthOf(inner))
  const edge = look.paint("dim", down ?? "")
  return [
    look.paint("dim", `${topLeft}${line}${topRight}`),
    `${edge}${look.paint("bold", inner)}${edge}`,
    look.paint("dim", `${bottomLeft}${line}${bottomRight}`),
  ]
}

/** Names before what they name, in a column of their own. */
const labelled = (rows: ReadonlyArray<readonly [label: string, lines: ReadonlyArray<string>, middle: number]>) => {
  const width = widestOf(rows.map(([label]) => label)) + 3
  return rows.flatMap(([label, lines, middle], row) => [
    ...(row === 0 ? [] : [""]),
    ...lines.map((line, i) =>
      i === middle
        ? `${margin}${label}${" ".repeat(width - widthOf(label))}${line}`
        : `${margin}${" ".repeat(width)}${line}`,
    ),
  ])
}

interface Layout {
  readonly look: Look
  readonly words: LoginWords
  /** How many rows the terminal has. */
  readonly rows: number
  readonly qr: Option.Option<QrCode>
}

const widestOf = (lines: ReadonlyArray<string>) => Math.max(0, ...lines.map((line) => widthOf(line)))

const indented = (text: string, columns: number) =>
  wrapped(text, Math.max(narrowest, Math.min(columns - 1, widest)) - margin.length).map((line) => `${margin}${line}`)

/** Text that may be of any length. */
export const paragraph = (text: string, look: Look): ReadonlyArray<string> => indented(text, look.columns())

/** The QR code beside the text, if both fit. */
const beside = (left: ReadonlyArray<string>, qr: QrCode, columns: number) => {
  const start = widestOf(left) + gap
  if (start + qr.columns >= columns) return undefined
  const offset = 1
  return Array.from({ length: Math.max(left.length, qr.lines.length + offset) }, (_, row) => {
    const text = left[row] ?? ""
    const code = qr.lines[row - offset]
    return code === undefined ? text : `${text}${" ".repeat(start - widthOf(text))}${code}`
  })
}

/** What a person does who enters a code elsewhere. */
export const forCode = (
  code: string,
  address: string,
  account: string,
  { look, qr, rows, words }: Layout,
): ReadonlyArray<string> => {
  const columns = look.columns()
  const boxed = box(code, look)
  const hasBox = widestOf(boxed) + 12 < columns
  const fixed = [
    "",
    `${margin}${look.paint("bold", words.title(account))}`,
    "",
    ...labelled([
      [words.open, [look.paint("cyan", address)], 0],
      [words.enter, hasBox ? boxed : [look.paint("bold", code)], hasBox ? 1 : 0],
    ]),
    "",
  ]
  if (Option.isSome(qr)) {
    const room = columns - gap - qr.value.columns - 1
    const text = Math.max(narrowest, widestOf(fixed))
    const left = [
      ...fixed,
      ...indented(words.onlyYourOwn, text),
      "",
      ...indented(words.scan, text).map((line) => look.paint("dim", line)),
    ]
    const both = text <= room ? beside(left, qr.value, columns) : undefined
    if (both !== undefined && both.length + otherRows <= rows) return [...both, ""]
  }
  const text = [...fixed, ...indented(words.onlyYourOwn, columns), ""]
  return [...text, ...below(text, { look, qr, rows, words })]
}

/** The QR code after the text, if it fits on the same screen. */
const below = (text: ReadonlyArray<string>, { look, qr, rows, words }: Layout): ReadonlyArray<string> => {
  if (Option.isNone(qr)) return []
  const columns = look.columns()
  const taken = text.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0)
  const lines = [
    ...qr.value.lines.map((line) => `${margin}${line}`),
    "",
    `${margin}${look.paint("dim", words.scan)}`,
    "",
  ]
  const fits = qr.value.columns + margin.length < columns && taken + lines.length + otherRows <= rows
  return fits ? lines : []
}

/** What a person does on a page, and with what they see at its end. */
export const forPage = (
  { account, address }: { readonly account: string; readonly address: string },
  { hints, isOpened }: { readonly hints: ReadonlyArray<string>; readonly isOpened: boolean },
  layout: Layout,
): ReadonlyArray<string> => {
  const { look, words } = layout
  const columns = look.columns()
  const text = [
    "",
    `${margin}${look.paint("bold", words.title(account))}`,
    "",
    ...indented(isOpened ? words.opened : words.openInBrowser, columns),
    "",
    // From the first column on: what a terminal wraps is copied in one piece.
    look.paint("cyan", address),
    "",
    ...hints.flatMap((hint) => [...indented(hint, columns).map((line) => look.paint("dim", line)), ""]),
  ]
  return [...text, ...below(text, layout)]
}

/** What is waited for, and for how long: the line that changes. */
export const waiting = ({ flow }: ShownLogin, time: string, look: Look, words: LoginWords) => {
  const dot = look.isUnicode ? " · " : " - "
  const parts = [words.waiting[flow], look.paint("bold", words.left(time)), words.cancels]
  const columns = look.columns()
  // The last is the first that can be spared.
  while (parts.length > 1 && margin.length + widthOf(parts.join(dot)) >= columns) parts.pop()
  return `${margin}${parts.join(dot)}`
}

/** Where something may be pasted, and how much of it has arrived. */
export const pasting = (characters: number, words: LoginWords) =>
  `${margin}${words.pasteHere} ${characters === 0 ? "" : words.pasted(characters)}`
