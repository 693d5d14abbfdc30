/**
 * How far a server may lead us that says itself where to log in. Pure.
 *
 * Such a server may be anybody's. So it leads over https only, and to nothing inside: not this machine, not the network
 * that it is in, not what a cloud tells its machines. What a person has typed is meant, wherever that is: the same host may
 * be reached, and only it.
 */
import { Option } from "effect"
import * as SecureUrl from "./SecureUrl.ts"

export interface Guard {
  /** The address that a person typed, if it was one. */
  readonly typed?: string
}

/** `anywhere`: it is the typed host. `public`: only at an address that everybody can reach. */
export type Reach = "anywhere" | "public"

/** Where a URL may lead, if it may lead anywhere. */
export const reachOf = (text: string, { typed }: Guard): Option.Option<Reach> => {
  const meant = typed === undefined ? Option.none() : SecureUrl.parse(typed)
  return Option.flatMap(SecureUrl.parse(text), (url): Option.Option<Reach> => {
    const isMeant = Option.exists(meant, (typed) => isSameHost(typed, url))
    if (isMeant && Option.exists(meant, ({ protocol }) => protocol === url.protocol || url.protocol === "https:")) {
      return Option.some("anywhere")
    }
    return url.protocol === "https:" && !isInside(url.hostname) ? Option.some("public") : Option.none()
  })
}

const loopback: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"])

const isSameHost = (one: URL, other: URL): boolean =>
  one.hostname === other.hostname || (loopback.has(one.hostname) && loopback.has(other.hostname))

/** Names that mean something else in each network, or in none (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`). */
const insideNames = /(^|\.)(localhost|local|internal|intranet|private|corp|home|lan|home\.arpa)$/

/** Whether a host's name is only good inside. Addresses are looked at when they are connected to. */
const isInside = (hostname: string): boolean => {
  const name = hostname.replace(/\.$/, "")
  return (!name.includes(".") && !name.startsWith("[")) || insideNames.test(name)
}
