/**
 * Rows of text in columns, by what a terminal shows of them.
 *
 * A table that must fit gets narrower by what matters least: first texts are cut, then whole columns go. What must be there
 * is never cut; it goes on in the next line.
 */
import { Console, Effect } from "effect"
import { cut, split, widthOf } from "./Lines.ts"
import * as Screen from "./Screen.ts"

export interface Column<A> {
  readonly title: string
  /** The text of a cell; empty where there is nothing to say. A column with nothing to say at all is not shown. */
  readonly cell: (row: A) => string
  /** As it looks, where there is colour; it must not change its width. */
  readonly paint?: (text: string, row: A) => string
  /** Columns of least weight go first; those without stay. */
  readonly weight?: number
  /** It may be cut, or be broken where it has no weight, to this width. */
  readonly least?: number
}

export interface Room {
  /** How wide the table may be. */
  readonly width: number
  /** What stands for what was cut. */
  readonly ellipsis: string
  readonly paintTitle: (text: string) => string
}

const gap = "  "

const nothing = "-"

interface Placed<A> {
  readonly column: Column<A>
  readonly width: number
}

/** The lines of a table that is no wider than there is room, down to what must be there. */
export const fit = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  { ellipsis, paintTitle, width }: Room,
): ReadonlyArray<string> => {
  const placed = columns.flatMap((column): ReadonlyArray<Placed<A>> => {
    const texts = rows.map(column.cell)
    if (texts.every((text) => text === "")) return []
    return [{ column, width: Math.max(widthOf(column.title), ...texts.map((text) => widthOf(text))) }]
  })
  const chosen = choose(placed, width)
  const linesOf = (cell: (placed: Placed<A>) => string, paint: (text: string, placed: Placed<A>) => string) => {
    const cells = chosen.map((one) => {
      const text = cell(one) === "" ? nothing : cell(one)
      return one.column.weight === undefined ? broken(text, one.width) : [cut(text, one.width, ellipsis)]
    })
    return Array.from({ length: Math.max(0, ...cells.map((lines) => lines.length)) }, (_, line) =>
      joined(
        chosen.map((one, i) => {
          const text = cells[i]?.[line] ?? ""
          return pad(text, one.width, text === "" ? text : paint(text, one))
        }),
      ),
    )
  }
  return [
    ...linesOf(({ column }) => column.title, paintTitle),
    ...rows.flatMap((row) =>
      linesOf(
        ({ column }) => column.cell(row),
        (text, { column }) => column.paint?.(text, row) ?? text,
      ),
    ),
  ]
}

/** What stands for what was cut. */
export const ellipsisOf = ({ isUnicode }: Screen.Look): string => (isUnicode ? "…" : "..")

/** Prints rows on stdout, no wider than the terminal; where no person reads, nothing is cut. */
export const print = Effect.fnUntraced(function* <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>) {
  const look = yield* Screen.stdout
  const lines = fit(columns, rows, {
    width: look.isTerminal ? look.columns() : Infinity,
    ellipsis: ellipsisOf(look),
    paintTitle: (text) => look.paint("dim", text),
  })
  yield* Console.log(lines.join("\n"))
})

const total = <A>(placed: ReadonlyArray<Placed<A>>): number =>
  placed.reduce((sum, { width }) => sum + width, 0) + gap.length * Math.max(0, placed.length - 1)

/** As narrow as it has to be; without the least weighty column where that is not enough. */
const choose = <A>(placed: ReadonlyArray<Placed<A>>, room: number): ReadonlyArray<Placed<A>> => {
  const inOrder = placed.toSorted((one, other) => (one.column.weight ?? Infinity) - (other.column.weight ?? Infinity))
  let over = total(placed) - room
  const widths = new Map<Placed<A>, number>()
  for (const one of inOrder) {
    const least = Math.min(one.width, Math.max(one.column.least ?? one.width, widthOf(one.column.title)))
    const less = Math.max(0, Math.min(over, one.width - least))
    widths.set(one, one.width - less)
    over -= less
  }
  const [lightest] = inOrder
  if (over > 0 && lightest?.column.weight !== undefined) {
    return choose(
      placed.filter((one) => one !== lightest),
      room,
    )
  }
  return placed.map((one) => ({ column: one.column, width: widths.get(one) ?? one.width }))
}

const joined = (cells: ReadonlyArray<string>): string => cells.join(gap).trimEnd()

/** `painted` is the text as it looks, whose width cannot be measured. */
const pad = (text: string, width: number, painted = text): string =>
  painted + " ".repeat(Math.max(0, width - widthOf(text)))

/** The whole text, in lines of that width. */
const broken = (text: string, width: number): ReadonlyArray<string> => {
  if (widthOf(text) <= width) return [text]
  const [line, rest] = split(text, width)
  return line === "" ? [text] : [line, ...broken(rest, width)]
}
