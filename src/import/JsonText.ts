/**
 * Changes single values in the text of a JSON document, and not one byte beside them: the files of other tools keep their
 * order, their white space, and what we do not know.
 */
import { Option, Result, type Schema } from "effect"

/** The names that lead from the outermost object to a value. */
export type Path = ReadonlyArray<string>

/** Where something is in the text: from a character up to another. */
interface Span {
  readonly start: number
  readonly end: number
}

interface Member {
  readonly name: string
  /** Where its name begins. */
  readonly start: number
  readonly value: Span
}

const parse = (text: string): Option.Option<unknown> => Option.getSuccess(Result.try((): unknown => JSON.parse(text)))

// From here on the text is known to be JSON.

const afterSpace = (text: string, at: number): number => {
  while (/[ \t\r\n]/.test(text[at] ?? "")) at++
  return at
}

const afterString = (text: string, at: number): number => {
  for (at++; text[at] !== '"'; at++) if (text[at] === "\\") at++
  return at + 1
}

/** Not recursive: a document may be nested deeper than our stack. */
const afterValue = (text: string, at: number): number => {
  let depth = 0
  do {
    const character = text[at] ?? ""
    if (character === '"') at = afterString(text, at)
    else if (/[[{\]}]/.test(character)) {
      depth += character === "{" || character === "[" ? 1 : -1
      at++
    } else if (depth > 0) at++
    else while (at < text.length && !/[\s,\]}]/.test(text[at] ?? "")) at++
  } while (depth > 0)
  return at
}

/** The members of the object that begins at a place. */
const membersOf = (text: string, object: number): ReadonlyArray<Member> => {
  const members: Array<Member> = []
  let at = afterSpace(text, object + 1)
  while (text[at] !== "}") {
    const afterName = afterString(text, at)
    const start = afterSpace(text, afterSpace(text, afterName) + 1)
    const end = afterValue(text, start)
    members.push({ name: JSON.parse(text.slice(at, afterName)), start: at, value: { start, end } })
    at = afterSpace(text, end)
    if (text[at] === ",") at = afterSpace(text, at + 1)
  }
  return members
}

/** Of several members with one name the last one counts, as for JSON.parse. */
const memberOf = (text: string, object: number, name: string): Member | undefined =>
  membersOf(text, object).findLast((member) => member.name === name)

const splice = (text: string, { end, start }: Span, by: string) => text.slice(0, start) + by + text.slice(end)

/** Adds a member behind the others, as they are written. */
const added = (text: string, object: number, name: string, json: string): string => {
  const [last, before] = membersOf(text, object).toReversed()
  const member = `${JSON.stringify(name)}:`
  if (last === undefined) return splice(text, { start: object + 1, end: object + 1 }, `${member}${json}`)
  const gapStart = before === undefined ? object + 1 : text.indexOf(",", before.value.end) + 1
  const gap = text.slice(gapStart, last.start)
  const colon = text.slice(afterString(text, last.start), last.value.start)
  return splice(text, { start: last.value.end, end: last.value.end }, `,${gap}${member.slice(0, -1)}${colon}${json}`)
}

/** Where the value at a path is. */
const find = (text: string, path: Path): Span | undefined => {
  let span: Span = { start: afterSpace(text, 0), end: text.length }
  for (const name of path) {
    const member = text[span.start] === "{" ? memberOf(text, span.start, name) : undefined
    if (member === undefined) return undefined
    span = member.value
  }
  return span
}

/** The value at a path as it is written; none if there is none, or the text is not JSON. */
export const textAt = (text: string, path: Path): Option.Option<string> =>
  Option.flatMap(parse(text), () => {
    const span = find(text, path)
    return span === undefined ? Option.none() : Option.some(text.slice(span.start, span.end))
  })

/** The value at a path; none if there is none, or the text is not JSON. */
export const valueAt = (text: string, path: Path): Option.Option<unknown> => Option.flatMap(textAt(text, path), parse)

/**
 * The text with another value at a path; the last name of the path may be a new one. None if the text is not JSON, or
 * nothing is there that could hold the value.
 */
export const withValue = (text: string, path: Path, value: Schema.Json): Option.Option<string> =>
  withText(text, path, JSON.stringify(value))

/** As {@link withValue}, for a value as it is written in some other text. */
export const withText = (text: string, path: Path, json: string): Option.Option<string> => {
  if (Option.isNone(parse(text))) return Option.none()
  const [name, ...parents] = path.toReversed()
  if (name === undefined) return Option.none()
  const there = find(text, path)
  if (there !== undefined) return Option.some(splice(text, there, json))
  const parent = find(text, parents.toReversed())
  return parent === undefined || text[parent.start] !== "{"
    ? Option.none()
    : Option.some(added(text, parent.start, name, json))
}

/** As {@link withValue}, for several values. */
export const withValues = (text: string, changes: ReadonlyArray<readonly [Path, Schema.Json]>): Option.Option<string> =>
  changes.reduce<Option.Option<string>>(
    (changed, [path, value]) => Option.flatMap(changed, (text) => withValue(text, path, value)),
    Option.some(text),
  )

/** The text without a member of an object, and as it was before it was added. None if there is no such member. */
export const without = (text: string, path: Path): Option.Option<string> => {
  const [name, ...parents] = path.toReversed()
  if (name === undefined || Option.isNone(parse(text))) return Option.none()
  const object = find(text, parents.toReversed())
  if (object === undefined || text[object.start] !== "{") return Option.none()
  const members = membersOf(text, object.start)
  const at = members.findLastIndex((member) => member.name === name)
  const [member, before, after] = [members[at], members[at - 1], members[at + 1]]
  if (member === undefined) return Option.none()
  const { start, value } = member
  if (before !== undefined) return Option.some(splice(text, { start: before.value.end, end: value.end }, ""))
  return Option.some(splice(text, { start, end: after === undefined ? value.end : after.start }, ""))
}
