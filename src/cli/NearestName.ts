/**
 * What somebody who has mistyped a name may have meant.
 */

/** As many letters may be wrong, missing or too many; and fewer than half of them, or any short name would do. */
const mostEdits = 2

/** The name that differs least from what was typed, if that is little. None if it was typed as it is. */
export const nearestTo = (typed: string, names: ReadonlyArray<string>): string | undefined => {
  if (names.includes(typed)) return undefined
  const [nearest] = names
    .map((name) => ({ name, edits: editsBetween(typed, name) }))
    .filter(({ edits, name }) => edits <= mostEdits && edits * 2 < Math.min(typed.length, name.length))
    .toSorted((one, other) => one.edits - other.edits)
  return nearest?.name
}

/** Levenshtein's distance, row by row. */
const editsBetween = (one: string, other: string): number => {
  // That many are needed at least, and a name that was typed may be of any length.
  if (Math.abs(one.length - other.length) > mostEdits) return Infinity
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++) {
      const replaced = (row[j] ?? 0) + (letter === other[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
