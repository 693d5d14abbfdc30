/**
 * What a person pastes after granting access: a bare code, `code#state`, a query string, or the whole redirect URL.
 */
import { Redacted } from "effect"
import type { ProviderRecord } from "./ProviderRecord.ts"

/** What was pasted. A bare text does not say where it came from, so less of it can be checked. */
export interface Pasted {
  readonly parameters: URLSearchParams
  readonly isBare: boolean
}

/** Whether there is an authorization response (RFC 6749 section 4.1.2) in a query or fragment. */
const isResponse = (parameters: URLSearchParams): boolean => parameters.has("code") || parameters.has("error")

/** The parameters of an authorization response in pasted text. Pasting nothing gives none. */
export const parse = (pasted: Redacted.Redacted, form: ProviderRecord["pasted"] = "code#state"): Pasted => {
  const text = Redacted.value(pasted).trim()
  // The URL parser knows best where a query ends and a fragment begins, also for an address that has lost its scheme.
  const hasAnswer = /(^|[?&#])(code|error)=/.test(text)
  const reference = hasAnswer && /^\w+=/.test(text) ? `?${text}` : text
  const url = hasAnswer || /^https?:/i.test(text) ? URL.parse(reference, "https://pasted.invalid") : null
  if (url !== null) {
    const fragment = new URLSearchParams(url.hash.slice(1))
    return { parameters: isResponse(url.searchParams) ? url.searchParams : fragment, isBare: false }
  }
  const [code = "", state = ""] = form === "code" ? [text] : text.split("#")
  const parameters = new URLSearchParams({ ...(code !== "" && { code }), ...(state !== "" && { state }) })
  return { parameters, isBare: code !== "" }
}
