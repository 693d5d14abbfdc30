/**
 * What a person pastes after granting access: a bare code, `code#state`, a query string, or the whole redirect URL.
 */
import { Redacted } from "effect"

/** The parameters of an authorization response in pasted text. Pasting nothing gives none. */
export const parse = (pasted: Redacted.Redacted): URLSearchParams => {
  const text = Redacted.value(pasted).trim()
  const url = /^https?:/i.test(text) ? URL.parse(text) : null
  if (url !== null) return new URLSearchParams(url.search === "" ? url.hash.slice(1) : url.search)
  if (/(^|[?&#])(code|error)=/.test(text)) return new URLSearchParams(text.replace(/^.*[?#](?=.*=)/, ""))
  const [code = "", state = ""] = text.split("#")
  return new URLSearchParams({ ...(code !== "" && { code }), ...(state !== "" && { state }) })
}

/** Whether the text says nothing of where it came from: a bare code, or a code and a state. */
export const isBare = (parameters: URLSearchParams): boolean =>
  parameters.has("code") && [...parameters.keys()].every((name) => name === "code" || name === "state")
