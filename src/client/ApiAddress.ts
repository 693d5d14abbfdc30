/**
 * Where requests with a token may go: to the hosts of the provider's API, over https (http only to this machine), and
 * nowhere else. Pure. All is decided on parsed addresses, so that it is decided about the host that is contacted.
 */
import { Option, type Schema } from "effect"
import type { Api } from "../oauth/ProviderRecord.ts"
import * as SecureUrl from "../oauth/SecureUrl.ts"

const defaultPort = (url: URL) => (url.protocol === "https:" ? 443 : 80)

/** An IP address, as the parser of URLs writes it, whichever way it was typed. */
const isNumeric = (hostname: string) => hostname.startsWith("[") || /^[\d.]+$/.test(hostname)

const fits = (pattern: string, url: URL): boolean => {
  const [, name = "", port = defaultPort(url)] = /^(.*?)(?::(\d+))?$/.exec(pattern) ?? []
  if (Number(port) !== Number(url.port === "" ? defaultPort(url) : url.port)) return false
  if (!name.startsWith("*.")) return url.hostname === name
  const suffix = name.slice(1)
  return !isNumeric(url.hostname) && url.hostname.length > suffix.length && url.hostname.endsWith(suffix)
}

const parsed = (address: string | undefined): URL | undefined =>
  address === undefined ? undefined : Option.getOrUndefined(SecureUrl.parse(address))

/** The hosts of an API, as people know them. */
export const hostsOf = ({ baseUrl, hosts = [] }: Api): ReadonlyArray<string> => {
  const base = parsed(baseUrl)
  return base === undefined || hosts.includes(base.host) ? hosts : [base.host, ...hosts]
}

/** Whether a token may be sent to an address. */
export const isBound = ({ baseUrl, hosts = [] }: Api, url: URL): boolean =>
  parsed(url.href) !== undefined &&
  (url.origin === parsed(baseUrl)?.origin || hosts.some((pattern) => fits(pattern, url)))

/** What relative addresses are relative to. What a token says counts only where the token may go. */
export const baseOf = (api: Api, extras: { readonly [name: string]: Schema.Json }): URL | undefined => {
  const said = api.baseUrlField === undefined ? undefined : extras[api.baseUrlField]
  // Some providers give only the host.
  const own = typeof said === "string" ? parsed(said.includes("://") ? said : `https://${said}`) : undefined
  return own !== undefined && isBound(api, own) ? own : parsed(api.baseUrl)
}

/** A relative address, under a base: `/models` is relative to all of `https://api.example/v1`. */
export const under = (base: URL, relative: string): URL | null => {
  const folder = new URL(base)
  if (!folder.pathname.endsWith("/")) folder.pathname += "/"
  folder.search = ""
  // Two slashes begin a host, and that is decided about like any other.
  return URL.parse(relative.replace(/^\/(?![/\\])/, "./"), folder.href)
}
