/**
 * The headers of a request with a token: the caller's, without what could speak for somebody else, with what the
 * provider's API asks for. Pure.
 */
import { Redacted } from "effect"
import type { PublicToken } from "../domain/Token.ts"
import type { Api } from "../oauth/ProviderRecord.ts"

/** Credentials of others, and `Host`, by which a server with many names would take the token for another one. */
const dropped = ["authorization", "cookie", "host", "proxy-authorization", "x-api-key"]

const isPrintable = (value: unknown): value is string => typeof value === "string" && /^[\x20-\x7e]+$/.test(value)

/** Whether a header can hold the token. If not, what says so would repeat it. */
export const isUsable = ({ accessToken, tokenType }: PublicToken): boolean =>
  /^[\x21-\x7e]+$/.test(Redacted.value(accessToken)) && /^[\w!#$%&'*+.^`|~-]+$/.test(tokenType)

const valuesOf = (list: string) =>
  list
    .split(",")
    .map((value) => value.trim())
    .filter((value) => value !== "")

const merged = (own: string | null, further: ReadonlyArray<string>): string => {
  const all = [own ?? "", ...further].flatMap(valuesOf)
  const known = all.map((value) => value.toLowerCase())
  return all.filter((_, at) => known.indexOf(known[at] ?? "") === at).join(",")
}

/** What is sent with a token that {@link isUsable}. */
export const withToken = (asked: Headers, api: Api, { accessToken, extras, tokenType }: PublicToken): Headers => {
  const headers = new Headers(asked)
  for (const name of [...dropped, ...(api.removedHeaders ?? [])]) headers.delete(name)
  for (const [name, value] of Object.entries(api.headers ?? {})) headers.set(name, value)
  for (const [name, field] of Object.entries(api.headersFromFields ?? {})) {
    const value = Object.hasOwn(extras, field) ? extras[field] : undefined
    // What the caller says of itself is not left in its place.
    headers.delete(name)
    if (isPrintable(value)) headers.set(name, value)
  }
  for (const [name, values] of Object.entries(api.mergedHeaders ?? {})) {
    headers.set(name, merged(headers.get(name), values))
  }
  // RFC 6750 section 2.1 writes it so, and not every server compares it without regard to case.
  const type = tokenType.toLowerCase() === "bearer" ? "Bearer" : tokenType
  headers.set("authorization", `${type} ${Redacted.value(accessToken)}`)
  return headers
}
