/**
 * The words of a command line apart, where they are written in the usual way. Node's own parseArgs takes more than that, such
 * as `--`, and a millisecond to load.
 */

export interface Words {
  /** What is no flag, in its order. */
  readonly others: ReadonlyArray<string>
  /** What flags were given, in its order. */
  readonly values: ReadonlyMap<string, ReadonlyArray<string>>
  /** Flags without a value that are there. */
  readonly flags: ReadonlySet<string>
}

/** Undefined where there is a flag that is not named here, or anything unusual. */
export const parse = (
  args: ReadonlyArray<string>,
  withValue: ReadonlyArray<string>,
  without: ReadonlyArray<string>,
): Words | undefined => {
  const others: Array<string> = []
  const values = new Map<string, Array<string>>()
  const flags = new Set<string>()
  for (let at = 0; at < args.length; at++) {
    const [, name, , joined] = /^--([a-z][a-z-]*)(=([\s\S]*))?$/.exec(args[at] ?? "") ?? []
    const word = args[at] ?? ""
    if (name === undefined) {
      if (word === "" || word.startsWith("-")) return undefined
      others.push(word)
    } else if (withValue.includes(name)) {
      const value = joined ?? args[++at] ?? ""
      if (value === "" || value.startsWith("-")) return undefined
      values.set(name, [...(values.get(name) ?? []), value])
    } else if (without.includes(name) && joined === undefined && !flags.has(name)) flags.add(name)
    else return undefined
  }
  return { others, values, flags }
}
