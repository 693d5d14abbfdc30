/**
 * The help of a command, in lines as wide as the terminal: what it does, how it is typed, what it takes.
 */
import { Option } from "effect"
import type { HelpDoc } from "effect/cli"
import type { Look } from "./Screen.ts"

/** Lines that are longer are hard to read. */
const widest = 100

/** Names that are longer have a line of their own. */
const widestName = 28

/**
 * Words in lines of at most this length; a word that is longer is left whole. Not by {@link Lines}: to load that takes longer
 * than all that is done for a help, and what is in one is mostly ASCII.
 */
const wrap = (text: string, width: number): ReadonlyArray<string> =>
  text.match(new RegExp(`\\S(?:.{0,${width - 2}}\\S)?(?=\\s|$)|\\S+`, "g")) ?? [""]

/** So wide is the name of a row in a description. */
const rowName = 15

export type Row = readonly [name: string, text: string]

/** Names, and beside them what they mean. */
const table = (rows: ReadonlyArray<Row>, width: number): ReadonlyArray<string> => {
  const column = Math.min(widestName, Math.floor(width / 3), Math.max(0, ...rows.map(([name]) => name.length)))
  return rows.flatMap(([name, text]) => {
    const [first = "", ...rest] = wrap(text, width - column - 4)
    const below = rest.map((line) => `${" ".repeat(column + 4)}${line}`)
    return name.length > column
      ? [`  ${name}`, `${" ".repeat(column + 4)}${first}`, ...below]
      : [`  ${name.padEnd(column)}  ${first}`.trimEnd(), ...below]
  })
}

/** Paragraphs; and rows of a name, two spaces or more, and a text. */
const paragraphs = (text: string, width: number): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => {
    const [, name, meaning] = /^ *(\S+) {2,}(\S.*)$/.exec(line) ?? []
    return name === undefined || meaning === undefined
      ? wrap(line, width)
      : table([[name.padEnd(rowName), meaning]], width)
  })

/** What the framework calls the values of flags that have no name of their own. */
const unnamed: { readonly [type: string]: string } = {
  string: "TEXT",
  integer: "NUMBER",
  float: "NUMBER",
  path: "PATH",
  file: "FILE",
  directory: "FOLDER",
}

/** The choices, where a description ends with them. */
const choices = / \(choices: ([^()]*)\)$/

const flagRow = ({ aliases, description, name, type }: HelpDoc.FlagDoc): Row => {
  const text = Option.getOrElse(description, () => "")
  const [, listed] = choices.exec(text) ?? []
  const all = listed?.replaceAll(", ", "|")
  const isListed = all !== undefined && `--${name} ${all}`.length <= widestName
  const value = type === "boolean" ? "" : isListed ? all : all === undefined ? (unnamed[type] ?? type) : "NAME"
  const names = [...aliases, `--${name}`].join(", ")
  return [`${names} ${value}`.trim(), isListed ? text.replace(choices, "") : text]
}

const argumentRow = ({ description, name }: HelpDoc.ArgDoc): Row => [
  name.toUpperCase(),
  Option.getOrElse(description, () => "").replace(/ \(optional\)$/, ""),
]

/** `tokenkeep token [flags] <account>` as people write it. */
const usageOf = (usage: string) =>
  usage.replace("<subcommand>", "COMMAND").replace(/<([a-z-]+)(?:\.\.\.)?>/g, (name) => name.slice(1, -1).toUpperCase())

/** What is said below the help of the program itself. */
export interface Section {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

/** The whole help, without a line end. `below` is shown for the program itself only. */
export const format = (doc: HelpDoc.HelpDoc, look: Look, below: ReadonlyArray<Section> = []): string => {
  const width = Math.min(look.columns(), widest)
  const section = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : [look.paint("bold", title), ...lines, ""]

  const commands = (doc.subcommands ?? []).flatMap(({ commands }) =>
    commands.map(({ description, name, shortDescription }): Row => [name, shortDescription ?? description]),
  )
  const flags = [...doc.flags, ...(doc.inheritedFlags ?? [])]
  const shared = doc.globalFlags ?? []
  const isRoot = (doc.commandPath?.length ?? 1) === 1
  const root = doc.commandPath?.[0] ?? ""

  return [
    ...(doc.description === "" ? [] : [...paragraphs(doc.description, width), ""]),
    ...section("USAGE", [`  ${usageOf(doc.usage)}`]),
    ...section("COMMANDS", table(commands, width)),
    ...section("ARGUMENTS", table((doc.args ?? []).map(argumentRow), width)),
    ...section("FLAGS", table(flags.map(flagRow), width)),
    ...section(
      "EXAMPLES",
      (doc.examples ?? []).map(({ command }) => `  ${command}`),
    ),
    ...(isRoot
      ? [
          ...section("FLAGS OF ALL COMMANDS", table(shared.map(flagRow), width)),
          ...below.flatMap(({ rows, title }) => section(title, table(rows, width))),
        ]
      : wrap(
          `See ${root} --help for the flags of all commands: ${shared.map(({ name }) => `--${name}`).join(", ")}`,
          width,
        )),
  ]
    .join("\n")
    .trimEnd()
}
