/**
 * git's credential protocol, as its git-credential(1) has it: lines of `key=value`, ended by nothing but LF.
 */
import { type Answer, type Handout, isSayable, refused, said, unsayable, wholeSeconds } from "./Handout.ts"
import { type Binding, hostFor, isUserName } from "./HostBinding.ts"

/** What git wants with a request; whatever else it may want one day is to be passed over in silence. */
const actions = ["get", "store", "erase", "capability"] as const
export type Action = (typeof actions)[number]

export const isAction = (text: string): text is Action => actions.some((action) => action === text)

/** What git asks for. */
export interface Request {
  readonly _tag: "Request"
  readonly host: string
  /** git takes a whole `Authorization` header, which no helper keeps, in place of a password. */
  readonly takesHeader: boolean
  /** The token that git had, where it names one. */
  readonly secret: string | undefined
}

/** There is nothing to answer. */
export interface Nothing {
  readonly _tag: "Nothing"
  /** What is to be said on stderr, where it is not all in order. */
  readonly why: string | undefined
}

const nothing = (why?: string): Nothing => ({ _tag: "Nothing", why })

/** More than git ever says. */
const longest = 65_536

// A tab can be in what the server has said, which is passed on to us.
const hasControls = (line: string) => /\p{Cc}/u.test(line.startsWith("wwwauth[]=") ? line.replaceAll("\t", "") : line)

const decodeBasic = (credential: string): string | undefined => {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(credential)) return undefined
  const text = Buffer.from(credential, "base64").toString("latin1")
  const colon = text.indexOf(":")
  return colon === -1 ? undefined : text.slice(colon + 1)
}

/** Reads what git says. Without a protocol or a host there is no answer: it would be one for any host. */
export const parse = (text: string): Request | Nothing => {
  if (text.length > longest) return nothing("git asked for a credential with more words than it has. It got none.")
  const [description = ""] = text.split("\n\n", 1)
  const lines = description.split("\n").filter((line) => line !== "")
  if (lines.some(hasControls)) {
    return nothing("git was asked for an address with a control character in it. It got no credential.")
  }
  const values = new Map<string, string>()
  const capabilities: Array<string> = []
  for (const line of lines) {
    const equals = line.indexOf("=")
    if (equals < 1) return nothing("git asked for a credential in a way that is not its own. It got none.")
    const [key, value] = [line.slice(0, equals), line.slice(equals + 1)]
    if (key === "capability[]") capabilities.push(value)
    if (key.endsWith("[]")) continue
    if (values.has(key)) return nothing("git asked for a credential of two addresses at once. It got none.")
    values.set(key, value)
  }
  const host = hostFor(values.get("protocol") ?? "", values.get("host") ?? "")
  if (host === undefined) return nothing()
  const credential = values.get("credential")
  return {
    _tag: "Request",
    host,
    takesHeader: capabilities.includes("authtype"),
    secret: values.get("password") ?? (credential === undefined ? undefined : decodeBasic(credential)),
  }
}

/**
 * The credential. Where git can do without a password it gets none, so that no helper that keeps passwords is shown one. It
 * is Basic in either case, as Bearer is not taken by GitHub's nor GitLab's servers for git.
 */
export const answer = ({ takesHeader }: Request, { username }: Binding, handout: Handout): Answer => {
  const { accessToken, expiresAt } = handout
  if (!isSayable(accessToken)) return unsayable
  if (!isUserName(username)) return refused("The user name for git has characters that cannot be said. See --username.")
  const expiry = expiresAt === undefined ? [] : [`password_expiry_utc=${wholeSeconds(expiresAt)}`]
  const credential = Buffer.from(`${username}:${accessToken}`).toString("base64")
  const lines = takesHeader
    ? ["capability[]=authtype", "authtype=Basic", `credential=${credential}`, "ephemeral=1", ...expiry]
    : [`username=${username}`, `password=${accessToken}`, ...expiry]
  return said(`${lines.join("\n")}\n`)
}

/** Nobody else is to be asked for this host, a person least of all. */
export const quit = "quit=1\n"

/** The answer to `capability`. */
export const capability = "version 0\ncapability authtype\n"
