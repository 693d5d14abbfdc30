/**
 * What may be shown, and asked, where this runs: by stream, by what the environment says, and by `--no-input`.
 *
 * `NO_COLOR` (no-color.org) and `CLICOLOR_FORCE` (bixense.com/clicolors) count if they are not empty, the first of them
 * first; `TERM=dumb` is a terminal that obeys nothing; `CI` is one that nobody sits at.
 */
import { styleText } from "node:util"
import { Context, Effect, Stdio } from "effect"
import * as EnvironmentVariable from "./EnvironmentVariable.ts"
import { NoInput } from "./GlobalFlags.ts"

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "black" | "bgWhiteBright"

/** One of the two streams that people read. */
export interface Look {
  readonly isTerminal: boolean
  readonly hasColour: boolean
  /** Whether a line can be written over, again and again. */
  readonly canRedraw: boolean
  /** Whether what is not ASCII arrives as it is. */
  readonly isUnicode: boolean
  /** How many characters a line has now. */
  readonly columns: () => number
  /** The text in a style, where there is colour. */
  readonly paint: (style: Style | ReadonlyArray<Style>, text: string) => string
}

type Name = "stdout" | "stderr"

/** How wide each stream is. */
export class Columns extends Context.Reference<(stream: Name) => number>("tokenkeep/cli/Screen/Columns", {
  defaultValue: () => (stream) => process[stream].columns ?? 80,
}) {}

const isSet = (value: string | undefined): boolean =>
  value !== undefined && value !== "0" && value.toLowerCase() !== "false"

const isTerminal = Effect.fnUntraced(function* (stream: Name) {
  const stdio = yield* Stdio.Stdio
  return yield* stream === "stdout" ? stdio.stdoutIsTerminal : stdio.stderrIsTerminal
})

const look = Effect.fnUntraced(function* (stream: Name): Effect.fn.Return<Look, never, Stdio.Stdio> {
  const isPerson = yield* isTerminal(stream)
  const isDumb = (yield* EnvironmentVariable.textOf("TERM")) === "dumb"
  const hasColour =
    (yield* EnvironmentVariable.textOf("NO_COLOR")) === undefined &&
    (isSet(yield* EnvironmentVariable.textOf("CLICOLOR_FORCE")) || (isPerson && !isDumb))
  const locale =
    (yield* EnvironmentVariable.textOf("LC_ALL")) ??
    (yield* EnvironmentVariable.textOf("LC_CTYPE")) ??
    (yield* EnvironmentVariable.textOf("LANG"))
  const columns = yield* Columns
  return {
    isTerminal: isPerson,
    hasColour,
    canRedraw: isPerson && !isDumb && !isSet(yield* EnvironmentVariable.textOf("CI")),
    isUnicode: /utf-?8/i.test(locale ?? ""),
    columns: () => columns(stream),
    paint: (style, text) => (hasColour ? styleText([style].flat(), text, { validateStream: false }) : text),
  }
})

/** Where the answer goes. */
export const stdout = look("stdout")

/** Where people are spoken to. */
export const stderr = look("stderr")

/** Whether somebody sits there who sees what is asked, and can answer. */
export const canAsk = Effect.gen(function* () {
  const { stdinIsTerminal } = yield* Stdio.Stdio
  return (yield* stdinIsTerminal) && (yield* isTerminal("stderr")) && !(yield* isUnattended)
})

/** Whether nobody is to be asked anything, or shown a browser, whatever there is. */
export const isUnattended = Effect.gen(function* () {
  return (yield* NoInput) || isSet(yield* EnvironmentVariable.textOf("CI"))
})
