/**
 * Text in lines of a terminal, by what it shows of them: wide characters take two places, combining ones none.
 */
import { stripVTControlCharacters } from "node:util"
import stringWidth from "string-width"

export { default as widthOf } from "string-width"

const segmenter = new Intl.Segmenter()

/** What of a text fits, and the rest. What a reader takes for one character stays whole. */
export const split = (text: string, width: number): readonly [string, string] => {
  let taken = ""
  let used = 0
  for (const { segment } of segmenter.segment(text)) {
    used += stringWidth(segment)
    if (used > width) break
    taken += segment
  }
  return [taken, text.slice(taken.length)]
}

/** The text, or its beginning and what stands for the rest. */
export const cut = (text: string, width: number, ellipsis: string): string =>
  stringWidth(text) <= width ? text : split(text, width - ellipsis.length)[0].trimEnd() + ellipsis

/** As much of a text as fits; without its styles if it does not, as one of them could be left open. */
export const cutStyled = (text: string, width: number): string =>
  stringWidth(text) <= width ? text : split(stripVTControlCharacters(text), width)[0]

/** Words in lines of that width; a longer word is left whole, as it may be something to copy. */
export const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line: string | undefined
  for (const word of text.split(/\s+/)) {
    const longer = line === undefined ? word : `${line} ${word}`
    if (line !== undefined && stringWidth(longer) > width) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line ?? ""]
}
