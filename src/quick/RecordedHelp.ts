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

/** The widths that are known. On a narrower terminal lines are shorter; on none of these are they longer. */
export const widths = { usual: 80, widest: 100 } as const

export const kindOf = (columns: number, isColored: boolean) => `${columns}${isColored ? " colored" : ""}`

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
  const isColored = isTerminal && !env["NO_COLOR"] && env["TERM"] !== "dumb"
  const columns = isTerminal ? Math.min(process.stdout.columns, widths.widest) : widths.usual
  const known = isObject(texts) ? texts[kindOf(columns, isColored)] : undefined
  const name = [...args.slice(0, -1), asked].join(" ")
  const said = isObject(known) && Object.hasOwn(known, name) ? known[name] : undefined
  return typeof said === "string" ? said : undefined
}
