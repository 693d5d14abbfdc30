/**
 * A person with a browser, scripted: follows redirects, keeps cookies, fills in the forms of oidc-provider's own pages.
 */

/** What the person does when asked for consent. */
export type Will = "grant" | "deny"

/** Where the browser ended up. */
export interface Journey {
  /** The last address: a page of the provider's, or the redirect URI with the answer in it. */
  readonly url: string
  readonly status: number
  readonly text: string
}

const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\b${name}="([^"]*)"`, "i").exec(tag)?.[1]?.replaceAll("&amp;", "&")

const formIn = (html: string, base: string) => {
  const form = /<form[\s\S]*?<\/form>/i.exec(html)?.[0]
  if (form === undefined) return undefined
  const fields = new Map<string, string>()
  for (const [input] of form.matchAll(/<input[^>]*>/gi)) {
    const name = attribute(input, "name")
    if (name !== undefined) fields.set(name, attribute(input, "value") ?? "")
  }
  const action = attribute(form, "action")
  return { action: action === undefined || action === "" ? base : new URL(action, base).href, fields, html: form }
}

/** Visits an address as a person would, until there is nothing left to fill in. */
export const visit = async (
  address: string,
  { userCode, will }: { readonly will: Will; readonly userCode?: string },
): Promise<Journey> => {
  const home = new URL(address).origin
  const cookies = new Map<string, string>()
  let url = address
  let body: URLSearchParams | undefined
  let saidNo = false
  for (let step = 0; step < 20; step++) {
    const response = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      ...(body !== undefined && { method: "POST", body }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";")
      const equals = pair.indexOf("=")
      cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
    }
    body = undefined
    const location = response.headers.get("location")
    const text = await response.text()
    if (location !== null) {
      const next = new URL(location, url)
      // A browser would be sent off to the redirect URI; only one on this machine can be visited.
      if (next.origin !== home && next.hostname !== "127.0.0.1")
        return { url: next.href, status: response.status, text }
      url = next.href
      continue
    }
    const form = formIn(text, url)
    if (new URL(url).origin !== home || form === undefined || saidNo) return { url, status: response.status, text }
    const { action, fields } = form
    const abort = /href="([^"]*\/abort)"/.exec(text)?.[1]
    if (will === "deny" && abort !== undefined) {
      url = new URL(abort, url).href
      saidNo = true
      continue
    }
    if (fields.has("login")) fields.set("login", "alice").set("password", "wonderland")
    if (fields.has("user_code") && userCode !== undefined && fields.get("user_code") === "") {
      fields.set("user_code", userCode)
    }
    url = action
    body = new URLSearchParams([...fields])
    if (will === "deny" && text.includes('name="abort"')) {
      body = new URLSearchParams([...fields, ["abort", "yes"]])
      saidNo = true
    }
  }
  throw new Error(`no end of forms at ${url}`)
}
