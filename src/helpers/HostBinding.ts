/**
 * Which account's token may go to which host: the one place that says so. A host is bound exactly as it is written, with its
 * port unless that is 443; there are no patterns, and no host is like another.
 */

/** What is said of a host in the configuration: the account, or also the user name that its servers want beside a token. */
export type HostEntry = string | { readonly account: string; readonly username?: string }

/** The hosts that are bound. */
export interface Hosts {
  readonly [host: string]: HostEntry
}

export interface Binding {
  readonly host: string
  readonly account: string
  readonly username: string
}

const name = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/
const address = /^\[[0-9a-f:.]+\]$/
const loopback = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/

const split = (text: string) => {
  const [, host = "", port] = /^(.*?)(?::(\d{1,5}))?$/.exec(text) ?? []
  return { host, port: port === undefined ? undefined : Number(port) }
}

/**
 * How a host is written here: in lower case (RFC 4343), without the port 443. None for what is no host in ASCII: a name in
 * another script is bound, and asked for, as DNS has it, so that nobody has to tell two of them apart by eye.
 */
export const hostOf = (text: string): string | undefined => {
  // Only ASCII is put into lower case: there are other letters that would become one of it.
  const { host, port } = split(text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()))
  if (host.length > 253 || !(name.test(host) || address.test(host))) return undefined
  if (port === undefined || port === 443) return host
  return port > 0 && port < 65_536 ? `${host}:${port}` : undefined
}

/**
 * The host that a program asks for, where a token may go there: by https; and by http to this very machine, where the port
 * is always written, too.
 */
export const hostFor = (protocol: string, text: string): string | undefined => {
  const host = hostOf(text)
  if (host === undefined) return undefined
  if (protocol === "https") return host
  if (protocol !== "http" || !loopback.test(split(host).host)) return undefined
  const { port } = split(text)
  return `${split(host).host}:${port ?? 80}`
}

/** The host of an `https://` address, or of one on this machine. Nothing with a user name in it leads anywhere. */
export const hostOfUrl = (url: string): string | undefined => {
  const [, protocol = "", host = ""] = /^(https?):\/\/([^/?#\\@]+)(?:[/?#][\x21-\x7e]*)?$/.exec(url) ?? []
  return hostFor(protocol, host)
}

/**
 * What servers want as the user name beside a token, where it is not all the same: bitbucket.org, quay.io, Google's
 * registries. GitLab wants `oauth2`; GitHub, Gitea and others do not look at it.
 */
const userNameOf = (host: string): string => {
  if (host === "bitbucket.org") return "x-token-auth"
  if (host === "quay.io") return "$oauthtoken"
  if (/^(?:[a-z]+\.)?gcr\.io$|^[a-z0-9-]+-docker\.pkg\.dev$/.test(host)) return "oauth2accesstoken"
  return "oauth2"
}

/** A user name that can be said before a colon (RFC 7617 section 2). */
export const isUserName = (text: string): boolean => /^[\x21-\x39\x3b-\x7e]{1,255}$/.test(text)

/** Both texts name the same login. */
export const isSameAccount = (one: string, other: string): boolean => unsuffixed(one) === unsuffixed(other)

const unsuffixed = (account: string) => account.replace(/[:#]default$/, "")

/** What a host is bound to; nothing where it is not bound, or what is said of it makes no sense. */
export const bindingOf = (hosts: Hosts, host: string): Binding | undefined => {
  const entry = Object.hasOwn(hosts, host) ? hosts[host] : undefined
  if (entry === undefined || hostOf(host) !== host) return undefined
  const { account, username = userNameOf(host) } =
    typeof entry === "string" ? { account: entry } : { username: userNameOf(host), ...entry }
  return account === "" || !isUserName(username) ? undefined : { host, account, username }
}

const isEntry = (value: unknown): value is HostEntry =>
  typeof value === "string" ||
  (typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "account") === "string" &&
    ["string", "undefined"].includes(typeof Reflect.get(value, "username")))

/** What `hosts` of the configuration says, and the names under which it says nothing that can be used. */
export const read = (value: unknown): { readonly hosts: Hosts; readonly mistakes: ReadonlyArray<string> } => {
  if (value === undefined) return { hosts: {}, mistakes: [] }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { hosts: {}, mistakes: ["hosts"] }
  const entries = Object.entries(value)
  const hosts = Object.fromEntries(entries.filter((entry): entry is [string, HostEntry] => isEntry(entry[1])))
  const isUsable = (host: string) => bindingOf(hosts, host) !== undefined
  return {
    hosts: Object.fromEntries(Object.entries(hosts).filter(([host]) => isUsable(host))),
    mistakes: entries.map(([host]) => host).filter((host) => !isUsable(host)),
  }
}

/** All that is bound, in the order of the configuration. */
export const bindings = (hosts: Hosts): ReadonlyArray<Binding> =>
  Object.keys(hosts).flatMap((host) => {
    const binding = bindingOf(hosts, host)
    return binding === undefined ? [] : [binding]
  })

/** What was typed with the command that a tool runs. */
export interface Typed {
  /** Without it the configuration says which account it is. */
  readonly account?: string | undefined
  /** With these the configuration is not asked. */
  readonly hosts?: ReadonlyArray<string> | undefined
  readonly username?: string | undefined
}

/** What a host gets: only what is bound to it, and only of the account that was typed, if one was. */
export const bindingFor = (hosts: Hosts, typed: Typed, host: string): Binding | undefined => {
  const { account, hosts: named = [], username } = typed
  const known = bindingOf(hosts, host)
  if (named.length > 0) {
    if (account === undefined || !named.some((one) => hostOf(one) === host)) return undefined
    return { host, account, username: username ?? known?.username ?? userNameOf(host) }
  }
  if (known === undefined || (account !== undefined && !isSameAccount(known.account, account))) return undefined
  return { ...known, ...(username !== undefined && { username }) }
}
