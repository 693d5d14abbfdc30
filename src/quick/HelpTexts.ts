/**
 * What is said of the program, its version and its help: as it was said when the program was built, if it was. A plugin has
 * commands of its own, so where there may be one it is not known here.
 */
import { readFileSync } from "node:fs"
import * as Configuration from "./Configuration.ts"
import { isObject } from "./Json.ts"
import { type Environment, placesIn } from "./Places.ts"

/** Beside the program that was built: for each kind of stdout, what is said for which arguments. */
export const fileName = "help.json"

/** The kinds of stdout for which it is known: no terminal, and terminals of so many columns or more, in colour. */
export const kinds = ["plain", "80", "100"] as const

/** Wider than this no line is. */
const widest = 100

const kindOf = (env: Environment, isTerminal: boolean): (typeof kinds)[number] | undefined => {
  if (!isTerminal) return "plain"
  if (env["NO_COLOR"] !== undefined || env["TERM"] === "dumb") return undefined
  const { columns } = process.stdout
  return columns === 80 ? "80" : columns >= widest ? "100" : undefined
}

const whole: { readonly [argument: string]: string } = {
  "--help": "--help",
  "-h": "--help",
  "--version": "--version",
  "-v": "--version",
}

/** What is said for these arguments; undefined if that is not known. Throws likewise. */
export const find = (args: ReadonlyArray<string>, env: Environment, isTerminal: boolean): string | undefined => {
  const last = args.at(-1) ?? ""
  const asked = Object.hasOwn(whole, last) ? whole[last] : undefined
  // What decides on colours, besides what is looked at here.
  if (asked === undefined || args.length > 2 || env["CLICOLOR_FORCE"] !== undefined) return undefined
  const places = placesIn(env)
  if (places === undefined || !Configuration.isWithoutPlugins(Configuration.read(places.configFile))) return undefined
  const texts: unknown = JSON.parse(readFileSync(new URL(fileName, import.meta.url), "utf8"))
  const kind = kindOf(env, isTerminal)
  const known = isObject(texts) && kind !== undefined ? texts[kind] : undefined
  const name = [...args.slice(0, -1), asked].join(" ")
  const said = isObject(known) && Object.hasOwn(known, name) ? known[name] : undefined
  return typeof said === "string" ? said : undefined
}
