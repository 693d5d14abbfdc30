/**
 * One request to the scripted server and what is done with it, whatever carries them: a `fetch` in process or a socket.
 */
import type { Schema } from "effect"

/** A request, read whole. */
export interface Asked {
  readonly method: string
  readonly url: URL
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  /** Undefined if it was larger than {@link maximumBody}. */
  readonly body: string | undefined
}

/** An answer, before it is sent. */
export interface Reply {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

/** What becomes of a request. One that is never answered has no outcome. */
export type Outcome =
  | { readonly _tag: "Whole"; readonly reply: Reply }
  /** The length of the whole body is announced, half of it is sent, and the connection is cut. */
  | { readonly _tag: "Truncated"; readonly reply: Reply }
  /** The connection is cut without a word. */
  | { readonly _tag: "Dropped" }

/** In bytes; well above any request of OAuth. */
export const maximumBody = 64 * 1024

/** Statuses whose answers have no body. */
export const bodyless: ReadonlySet<number> = new Set([204, 205, 304])

/** RFC 6749 section 5.1: answers with tokens or other secrets are not to be cached. */
const uncached = { "cache-control": "no-store", pragma: "no-cache" }

export const json = (status: number, body: Schema.Json, headers: Reply["headers"] = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...uncached, ...headers },
  body: JSON.stringify(body),
})

/** An error as RFC 6749 section 5.2 has it. */
export const problem = (error: string, status = 400, headers: Reply["headers"] = {}): Reply =>
  json(status, { error }, headers)

export const text = (status: number, body: string, headers: Reply["headers"] = {}): Reply => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8", ...uncached, ...headers },
  body,
})
