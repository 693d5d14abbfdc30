/**
 * A few lines at the end of what was said on stderr that are drawn again and again.
 */
import { Effect, Stdio, Stream } from "effect"
import stringWidth from "string-width"

const withoutStyles = (line: string): string =>
  line
    .split("\u001b[")
    .map((piece, i) => (i === 0 ? piece : piece.replace(/^[\d;]*m/, "")))
    .join("")

/** As much of a line as fits, without its styles if it does not: one that the terminal wraps could not be drawn over. */
export const fit = (line: string, columns: number): string => {
  if (stringWidth(line) < columns) return line
  const graphemes = [...new Intl.Segmenter().segment(withoutStyles(line))].map(({ segment }) => segment)
  while (graphemes.length > 0 && stringWidth(graphemes.join("")) >= columns) graphemes.pop()
  return graphemes.join("")
}

export interface LiveLines {
  /** Draws the lines in the place of those before. */
  readonly draw: (lines: ReadonlyArray<string>) => Effect.Effect<void>
  /** Takes them away. */
  readonly clear: Effect.Effect<void>
}

/** Lines on a terminal of so many columns. */
export const make = Effect.fnUntraced(function* (columns: () => number) {
  const stdio = yield* Stdio.Stdio
  let height = 0

  // Whoever read what is said here may be gone.
  const write = (text: string) => Effect.ignore(Stream.run(Stream.make(text), stdio.stderr({ endOnDone: false })))
  const toTop = () => `${height > 1 ? `\u001b[${height - 1}A` : ""}\r`

  const lines: LiveLines = {
    draw: (lines) =>
      Effect.suspend(() => {
        const text = `${toTop()}\u001b[J${lines.map((line) => fit(line, columns())).join("\n")}`
        height = lines.length
        return write(text)
      }),
    clear: Effect.suspend(() => {
      if (height === 0) return Effect.void
      const text = `${toTop()}\u001b[J`
      height = 0
      return write(text)
    }),
  }
  return lines
})
