/**
 * gh: `hosts.yml` in its folder. Mostly the token is not in there but in the system's keyring; then gh itself is asked for it,
 * when it is wanted.
 *
 * Of YAML only what gh writes is understood (cli/go-gh `pkg/config/config.go`): hosts, and below them names with plain or
 * quoted values, indented by spaces. Anything else is reported as damaged rather than guessed at.
 */
import { Option } from "effect"
import { contentOf, type Entry, textOf } from "./LoginEntry.ts"
import { configHome, join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

/** A value, or names with values. */
type Yaml = string | { readonly [name: string]: Yaml }

interface Line {
  readonly indentation: number
  readonly name: string
  readonly value: string
}

const scalarOf = (text: string): string => {
  const [, double] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text) ?? []
  if (double !== undefined) return double.replace(/\\(["\\])/g, "$1")
  const [, single] = /^'((?:[^']|'')*)'$/.exec(text) ?? []
  return single !== undefined ? single.replaceAll("''", "'") : text
}

/** Nothing if it is not a name with a value, or is more than gh writes. */
const lineOf = (text: string): Line | undefined => {
  const [, spaces = "", name = "", value = ""] =
    /^( *)("[^"\\]*"|'[^']*'|[^\s"'#:[\]{}&*!|>%@`-][^\s:#]*(?::\d+)?):(?: +(\S.*?))?(?: +#.*)?$/.exec(text) ?? []
  if (name === "" || /^[[{&*!|>%@`]/.test(value)) return undefined
  return { indentation: spaces.length, name: scalarOf(name), value: scalarOf(value.trimEnd()) }
}

const parse = (text: string): Yaml | undefined => {
  const lines = text
    .split(/\r?\n/)
    .filter((line) => !/^\s*(?:#.*)?$/.test(line) && line !== "---")
    .map(lineOf)
  let at = 0
  /** The names below, which are all indented alike. */
  const block = (indentation: number): Yaml | undefined => {
    const found: Array<readonly [string, Yaml]> = []
    while (at < lines.length) {
      const line = lines[at]
      if (line === undefined || line.indentation > indentation) return undefined
      if (line.indentation < indentation) break
      at++
      const next = lines[at]
      const isBlock = line.value === "" && next !== undefined && next.indentation > indentation
      const value = isBlock ? block(next.indentation) : line.value
      if (value === undefined) return undefined
      found.push([line.name, value])
    }
    return Object.fromEntries(found)
  }
  const value = block(0)
  return at === lines.length ? value : undefined
}

const at = (yaml: Yaml | undefined, name: string): Yaml | undefined =>
  typeof yaml === "object" && Object.hasOwn(yaml, name) ? yaml[name] : undefined

const textAt = (yaml: Yaml | undefined, name: string): string | undefined => {
  const value = at(yaml, name)
  return typeof value === "string" ? textOf(value) : undefined
}

const entryOf = (host: string, user: string | undefined, token: string | undefined): Entry => {
  const isGitHub = host === "github.com"
  const account = isGitHub ? user : [user, host].filter((part) => part !== undefined).join("@")
  return {
    entry: host,
    ...(account !== undefined && { account }),
    ...(isGitHub && { provider: "github" }),
    rotates: false,
    content:
      token === undefined
        ? {
            _tag: "Elsewhere",
            where: "in the system's keyring; gh is asked for it",
            ask: { _tag: "Gh", host, ...(user !== undefined && { user }) },
          }
        : contentOf({ accessToken: token, refreshToken: undefined, expiry: "never" }),
  }
}

const read = (text: string) => {
  const hosts = parse(text)
  if (typeof hosts !== "object") return Option.none()
  return Option.some(
    Object.entries(hosts).flatMap(([host, login]): ReadonlyArray<Entry> => {
      const active = textAt(login, "user")
      const users = at(login, "users")
      const names = typeof users === "object" ? Object.keys(users) : []
      const all = active === undefined || names.includes(active) ? names : [active, ...names]
      if (all.length === 0) return [entryOf(host, undefined, textAt(login, "oauth_token"))]
      const tokenOf = (name: string) =>
        textAt(at(users, name), "oauth_token") ?? (name === active ? textAt(login, "oauth_token") : undefined)
      // Whoever is active first.
      return all
        .toSorted((one, other) => Number(other === active) - Number(one === active))
        .map((name) => entryOf(host, name, tokenOf(name)))
    }),
  )
}

export const gitHubCli: Tool = {
  name: "gh",
  title: "gh",
  places: (machine) => {
    const { home, platform, variables } = machine
    const folder =
      variables.GH_CONFIG_DIR ??
      (variables.XDG_CONFIG_HOME !== undefined
        ? join(configHome(machine), "gh")
        : platform === "win32"
          ? join(variables.APPDATA ?? join(home, "AppData", "Roaming"), "GitHub CLI")
          : join(home, ".config", "gh"))
    return [{ path: join(folder, "hosts.yml"), read }]
  },
}
