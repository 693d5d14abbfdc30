/**
 * {@link PublicFetch} over Node's client. A name is resolved once, and what it resolves to is looked at there and connected
 * to: an answer that is another a moment later changes nothing. Redirects are not followed, nothing is reused.
 */
import { lookup, type LookupAddress, type LookupAllOptions } from "node:dns"
import * as Http from "node:http"
import * as Https from "node:https"
import { BlockList, isIP, type LookupFunction } from "node:net"
import { Readable } from "node:stream"
import { Result } from "effect"
import type { Fetch } from "./PublicFetch.ts"

const listOf = (family: "ipv4" | "ipv6", ranges: ReadonlyArray<readonly [net: string, prefix: number]>) => {
  const list = new BlockList()
  for (const [net, prefix] of ranges) list.addSubnet(net, prefix, family)
  return list
}

/** What is not public of IPv4 (IANA's registry of special addresses), and what Azure tells its machines. */
const notPublic4 = listOf("ipv4", [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
])

/** What can be public of IPv6. Outside of it is what stands for an IPv4 address, mapped or behind NAT64, and all inside. */
const global6 = listOf("ipv6", [["2000::", 3]])

/** Tunnels, in which an IPv4 address hides, and examples. */
const notPublic6 = listOf("ipv6", [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
])

/** Whether everybody can reach that address, and it is the same for everybody. */
export const isPublic = (address: string): boolean => {
  const family = isIP(address)
  if (family === 4) return !notPublic4.check(address, "ipv4")
  return family === 6 && global6.check(address, "ipv6") && !notPublic6.check(address, "ipv6")
}

/** The code of the error when an address is not public. */
const notPublicCode = "ERR_NOT_PUBLIC"

const refusal = () => Object.assign(new Error("not a public address"), { code: notPublicCode })

/** Resolves a name to all of its addresses. */
type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: Error | null, addresses: Array<LookupAddress>) => void,
) => void

/** Resolves names as `resolve` does, if there is none among the addresses that `isAllowed` does not allow. */
const lookupOf =
  (resolve: Resolve, isAllowed: (address: string) => boolean): LookupFunction =>
  (hostname, options, callback) => {
    const { family, hints } = options
    const asked = { all: true, ...(family !== undefined && { family }), ...(hints !== undefined && { hints }) } as const
    resolve(hostname, asked, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null) return callback(error, "")
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address))) return callback(refusal(), "")
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  }

/** As `fetch` fails: a `TypeError` with what is the matter as its cause. */
const failed = (cause: unknown) => new TypeError("fetch failed", { cause })

const responseOf = (message: Http.IncomingMessage): Response => {
  const { statusCode = 0 } = message
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(message.headersDistinct)) {
    for (const value of values) headers.append(name, value)
  }
  const isEmpty = statusCode === 204 || statusCode === 205 || statusCode === 304
  if (isEmpty) message.resume()
  return new Response(isEmpty ? null : Readable.toWeb(message), { status: statusCode, headers })
}

export const make = (resolve: Resolve = lookup, isAllowed: (address: string) => boolean = isPublic): Fetch => {
  const checked = lookupOf(resolve, isAllowed)
  return (input, init) => {
    const asked = new Request(input, init)
    const url = new URL(asked.url)
    // Node does not look up what is an address already.
    const host = url.hostname.replace(/^\[|\]$/g, "")
    if (isIP(host) !== 0 && !isAllowed(host)) return Promise.reject(failed(refusal()))
    return asked.text().then((body) => {
      const { promise, reject, resolve: answer } = Promise.withResolvers<Response>()
      const options = {
        method: asked.method,
        headers: {
          ...Object.fromEntries(asked.headers),
          ...(body !== "" && { "content-length": Buffer.byteLength(body) }),
        },
        signal: asked.signal,
        lookup: checked,
        agent: false,
      }
      const request = (url.protocol === "http:" ? Http : Https).request(url, options, (message) => {
        const response = Result.try(() => responseOf(message))
        if (Result.isSuccess(response)) return answer(response.success)
        message.destroy()
        return reject(failed(response.failure))
      })
      request.on("error", (error) => reject(failed(error)))
      // A connection that is switched to another protocol, which nobody asked for, ends without an error.
      request.on("close", () => reject(failed(new Error("no answer"))))
      request.end(body)
      return promise
    })
  }
}

export const publicFetch = make()
