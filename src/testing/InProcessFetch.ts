/**
 * A `fetch` that leads to the scripted server in the same process: nothing is sent anywhere. It fails as undici's does,
 * with a `TypeError`, and waits on Effect's clock.
 */
import { Effect, FiberSet, type Scope } from "effect"
import { type Asked, bodyless, maximumBody, type Outcome, type Reply } from "./Exchange.ts"

type Fetch = typeof globalThis.fetch

type Handle = (asked: Asked) => Effect.Effect<Outcome>

/** As the Fetch standard has it. */
const maximumRedirects = 20

/** RFC 9110 section 15.4: the statuses that say where else to go. */
const redirects = new Set([301, 302, 303, 307, 308])

/** How undici says it: one message for all, and the reason as its cause. */
const lost = (message: "fetch failed" | "terminated", cause: string) => new TypeError(message, { cause })

const fail = (cause: string) => Effect.die(lost("fetch failed", cause))

/** Calls of `fetch` live as long as the scope. */
export const make = Effect.fnUntraced(function* (
  origin: string,
  handle: Handle,
): Effect.fn.Return<Fetch, never, Scope.Scope> {
  const run = yield* FiberSet.makeRuntimePromise<never, Response, never>()

  const send = Effect.fnUntraced(function* (request: Request): Effect.fn.Return<Response> {
    const text = yield* Effect.promise(() => request.text())
    const body = new TextEncoder().encode(text).byteLength > maximumBody ? undefined : text
    const authorization = request.headers.get("authorization") ?? undefined
    const contentType = request.headers.get("content-type") ?? undefined
    let asked: Asked = { method: request.method, url: new URL(request.url), authorization, contentType, body }
    for (let hops = 0; hops <= maximumRedirects; hops++) {
      if (asked.url.origin !== origin) return yield* fail(`nothing but ${origin} can be reached in process`)
      const outcome = yield* handle(asked)
      if (outcome._tag === "Dropped") return yield* fail("other side closed")
      const location = redirects.has(outcome.reply.status) ? outcome.reply.headers["location"] : undefined
      if (location === undefined || request.redirect === "manual") return responseOf(outcome, asked.method)
      if (request.redirect === "error") return yield* fail("unexpected redirect")
      const keepsMethod = outcome.reply.status > 303 || asked.method === "GET"
      const next = { ...asked, url: new URL(location, asked.url) }
      asked = keepsMethod ? next : { ...next, method: "GET", body: "" }
    }
    return yield* fail("redirect count exceeded")
  })

  return (input, init) => {
    const answer = Effect.suspend(() => {
      const request = new Request(input, init)
      return Effect.raceFirst(send(request), aborted(request.signal))
    })
    return run(answer)
  }
})

const aborted = (signal: AbortSignal) =>
  Effect.callback<never>((resume) => {
    const abort = () => resume(Effect.die(signal.reason))
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })

const responseOf = (
  { _tag, reply }: { readonly _tag: "Whole" | "Truncated"; readonly reply: Reply },
  method: string,
) => {
  const none = method === "HEAD" || bodyless.has(reply.status)
  const body = _tag === "Truncated" ? cutInTheMiddle(reply.body) : reply.body
  return new Response(none ? null : body, { status: reply.status, headers: reply.headers })
}

/** On its second pull, because an error empties the queue of a stream. */
const cutInTheMiddle = (text: string) => {
  const half = new TextEncoder().encode(text.slice(0, text.length / 2))
  let pulls = 0
  return new ReadableStream<Uint8Array>({
    pull: (controller) =>
      pulls++ === 0 ? controller.enqueue(half) : controller.error(lost("terminated", "other side closed")),
  })
}
