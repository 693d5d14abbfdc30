/**
 * A provider's API in process, that answers what a test says and knows what it was asked.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

export interface Asked {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly body: string
}

type Answer = (asked: Asked, signal: AbortSignal) => Response | Promise<Response>

export interface Api {
  /** What was asked, in order. */
  readonly asked: Array<Asked>
  /** What is answered; "ok" unless a test says otherwise. */
  answer: Answer
  readonly fetch: typeof globalThis.fetch
}

export const make = (): Api => {
  const api: Api = {
    asked: [],
    answer: () => new Response("ok"),
    fetch: async (input, init) => {
      const request = new Request(input, init)
      assert(request.redirect !== "follow", "fetch itself must not follow redirects")
      const { headers, method, url } = request
      const asked = { url, method, headers, body: await request.text() }
      api.asked.push(asked)
      return api.answer(asked, request.signal)
    },
  }
  return api
}

const assert = (condition: boolean, message: string) => {
  if (!condition) throw new Error(message)
}

/** All of `fetch`, but for what is meant for `elsewhere`. */
export const layer = (api: Api, elsewhere: string) =>
  Layer.effect(
    FetchHttpClient.Fetch,
    Effect.map(
      FetchHttpClient.Fetch,
      (other): typeof globalThis.fetch =>
        (input, init) =>
          String(input).startsWith(elsewhere) ? other(input, init) : api.fetch(input, init),
    ),
  )
