/**
 * A few lines at the end of what was said on stderr that are drawn again and again.
 */
import { Effect, Stdio, Stream } from "effect"
import { cutStyled } from "../Lines.ts"

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
        // One that the terminal wraps could not be drawn over.
        const fitting = lines.map((line) => cutStyled(line, columns() - 1))
        const text = `${toTop()}\u001b[J${fitting.join("\n")}`
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
