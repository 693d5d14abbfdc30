/**
 * `fetch` as a provider may be trusted with it: no redirects followed, one mebibyte at most, fifteen seconds at most.
 *
 * The answer is read whole before anybody looks at it, so that the limits hold for the body too.
 */
import { Context, Data, Effect, Layer, Option, Redacted, Result, Schema } from "effect"
import { version } from "../version.ts"
import { type Guard, reachOf } from "./Guard.ts"
import { isJsonObject, type JsonObject } from "./JsonObject.ts"
import { PublicFetch } from "./PublicFetch.ts"

/**
 * An answer, read whole. `json` is the body, if it is a JSON object, or a form as GitHub's token endpoint writes it; there
 * may be tokens in it.
 */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly json: Option.Option<Redacted.Redacted<JsonObject>>
  /** The body, whatever it is. */
  readonly text: Redacted.Redacted
}

/** No answer came, or one that broke a limit. */
export class FetchFailure extends Data.TaggedError("FetchFailure")<{
  readonly what: "unreachable" | "not-public" | "connection-lost" | "timeout" | "malformed-answer"
  /** What Node calls it, where it does. */
  readonly code?: string
}> {}

/** Well above any token response or metadata document; a provider cannot make us hold more. */
const maximumBytes = 1024 * 1024

/**
 * The time for connecting, waiting and reading together: 15 s. Counted second by second, because after a process was
 * stopped for longer its timers are heard before its sockets, and the answer may have been in one all the time.
 */
const patience = Effect.repeat(Effect.sleep("1 second"), { times: 14 })

/**
 * What is used for `fetch`: the very reference that `FetchHttpClient` of `effect/http` has, by its name, so that a program
 * sets both at once. All that comes with that module takes a tenth of a second to load, and nothing else of it is needed.
 */
export const Fetch = Context.Reference<typeof globalThis.fetch>("effect/http/FetchHttpClient/Fetch", {
  defaultValue: () => globalThis.fetch,
})

/** Sends one request and reads the answer. */
export class ProviderFetch extends Context.Service<
  ProviderFetch,
  {
    /** What a server has led us to is sent to within a guard. */
    readonly send: (url: string, init: RequestInit, guard?: Guard) => Effect.Effect<Answer, FetchFailure>
  }
>()("tokenkeep/oauth/ProviderFetch") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const anywhere = yield* Fetch
      const inPublic = yield* PublicFetch

      const fetchFor = (url: string, guard: Guard | undefined) =>
        guard === undefined
          ? Effect.succeed(anywhere)
          : Option.match(reachOf(url, guard), {
              onNone: () => Effect.fail(new FetchFailure({ what: "not-public" })),
              onSome: (reach) => Effect.succeed(reach === "public" ? inPublic : anywhere),
            })

      return ProviderFetch.of({
        send: Effect.fn("ProviderFetch.send")(
          (url, init, guard) =>
            Effect.acquireUseRelease(
              Effect.sync(() => new AbortController()),
              Effect.fnUntraced(function* ({ signal }) {
                const fetch = yield* fetchFor(url, guard)
                const headers = new Headers(init.headers)
                if (!headers.has("user-agent")) headers.set("user-agent", `tokenkeep/${version}`)
                const response = yield* Effect.tryPromise({
                  try: () => fetch(url, { ...init, headers, redirect: "manual", signal }),
                  catch: failureOf,
                })
                const text = yield* readBody(response)
                return {
                  status: response.status,
                  headers: response.headers,
                  json: Option.map(isForm(response) ? Option.some(parseForm(text)) : parse(text), (json) =>
                    Redacted.make(json),
                  ),
                  text: Redacted.make(text),
                }
              }),
              // Ends the connection also while the body is still coming; after that it changes nothing.
              (controller) => Effect.sync(() => controller.abort()),
            ),
          Effect.raceFirst(Effect.andThen(patience, Effect.fail(new FetchFailure({ what: "timeout" })))),
        ),
      })
    }),
  )
}

/**
 * How Node says that there was no connection at all: name resolution, connecting, and TLS. After anything else the request
 * may have arrived.
 */
const neverSent =
  /^(ENOTFOUND|EAI_\w+|ECONNREFUSED|E(HOST|NET)UNREACH|ENETDOWN|EADDRNOTAVAIL|EACCES|EPERM|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_\w+|ERR_SSL_\w+|CERT_\w+|UNABLE_TO_\w+|\w*SELF_SIGNED_CERT\w*)$/

const decodeCause = Schema.decodeUnknownOption(Schema.Struct({ cause: Schema.Struct({ code: Schema.String }) }))

const failureOf = (error: unknown): FetchFailure =>
  Option.match(decodeCause(error), {
    onNone: () => new FetchFailure({ what: "connection-lost" }),
    onSome: ({ cause: { code } }) => new FetchFailure({ what: whatOf(code), code }),
  })

const whatOf = (code: string) => {
  if (code === "ERR_NOT_PUBLIC") return "not-public"
  return neverSent.test(code) ? "unreachable" : "connection-lost"
}

const isForm = ({ headers }: Response): boolean =>
  /^application\/x-www-form-urlencoded\b/i.test(headers.get("content-type") ?? "")

const parseForm = (text: string): JsonObject => Object.fromEntries(new URLSearchParams(text))

const parse = (text: string): Option.Option<JsonObject> =>
  Option.getSuccess(Result.try((): unknown => JSON.parse(text))).pipe(Option.filter(isJsonObject))

const readBody = Effect.fnUntraced(function* (response: Response) {
  const body = response.body
  if (body === null) return ""
  const reader = body.getReader()
  const chunks: Array<Uint8Array> = []
  let size = 0
  while (true) {
    const { done, value } = yield* Effect.tryPromise({
      try: () => reader.read(),
      catch: () => new FetchFailure({ what: "connection-lost" }),
    })
    if (done) break
    size += value.byteLength
    if (size > maximumBytes) {
      return yield* new FetchFailure({ what: "malformed-answer" })
    }
    chunks.push(value)
  }
  // As fetch itself does it: a byte order mark is not part of the text.
  return new TextDecoder().decode(Buffer.concat(chunks))
})
