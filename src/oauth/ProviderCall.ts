/**
 * One call of a provider: our request as its record and dialect have it, and its answer as the RFCs have it.
 */
import { DateTime, Effect, Option, Redacted, Schedule } from "effect"
import * as oauth from "oauth4webapi"
import { type Dialect, standard, type VendorAnswer, type VendorRequest } from "./Dialect.ts"
import { codeIn, type DeviceWord, meaningOf } from "./ErrorMeaning.ts"
import type { Provider } from "./Provider.ts"
import { ProviderFailure, type Reason } from "./ProviderFailure.ts"
import type { JsonObject } from "./JsonObject.ts"
import type { ProviderFetch } from "./ProviderFetch.ts"
import type { Call } from "./ProviderRecord.ts"
import { retryAfter } from "./RetryAfter.ts"
import * as SecureUrl from "./SecureUrl.ts"

/** What the provider answered. */
export type Reply =
  | { readonly _tag: "Success"; readonly body: Redacted.Redacted<JsonObject> }
  /** Of the answer to a refusal that is no failure there is only its body. */
  | { readonly _tag: "Refusal"; readonly means: DeviceWord | Reason; readonly body: Redacted.Redacted<JsonObject> }

/** How oauth4webapi makes a request: it calls the `fetch` that is given to it. */
type Build = (options: oauth.TokenEndpointRequestOptions) => Promise<unknown>

/** A dialect may need more than one request for one call, but not any number. */
const mostRequests = 3

/** What was granted must not be lost over a moment's trouble in what comes after: twice more, after 1 s and 3 s. */
const again = Schedule.exponential("1 second", 3).pipe(Schedule.upTo({ times: 2 }))

/** Makes the calls of one provider. */
export const make = (fetch: ProviderFetch["Service"], provider: Provider) => {
  const dialect: Dialect = provider.dialect ?? standard
  const misconfigured = (what: string) => ProviderFailure.misconfigured(provider.name, what)

  /** Asks the dialect, which may be somebody else's code: what it throws may hold a token, and is dropped. */
  const ask = <A>(said: () => A) =>
    Effect.try({ try: said, catch: () => misconfigured("its dialect does not understand what came") })

  const fetchOnce = Effect.fnUntraced(function* (request: VendorRequest) {
    const url = SecureUrl.parse(request.url)
    if (Option.isNone(url)) return yield* misconfigured("one of its endpoints is not an https URL")
    // Part of a header may be what a provider has answered. What says that it does not fit would repeat it.
    yield* Effect.try({
      try: () => new Headers(request.headers),
      catch: () => misconfigured("a header of its request would hold what no header can"),
    })
    const answer = yield* fetch
      .send(url.value.href, initOf(request), provider.guard)
      .pipe(Effect.mapError(({ what }) => ProviderFailure.transient(provider.name, what)))
    const headers = Object.fromEntries(answer.headers)
    return {
      status: answer.status,
      headers,
      body: Option.getOrElse(Option.map(answer.json, Redacted.value), () => ({})),
    }
  })

  const fetchWell = (request: VendorRequest) =>
    Effect.filterOrFail(
      fetchOnce(request),
      ({ status }) => status < 500,
      () => ProviderFailure.transient(provider.name, "server-error"),
    )

  const exchange = Effect.fnUntraced(function* (first: VendorRequest) {
    let request = first
    for (let sent = 1; sent <= mostRequests; sent++) {
      const answering =
        sent === 1 ? fetchOnce(request) : Effect.retry(fetchWell(request), { schedule: again, while: isPassing })
      const understanding = Effect.flatMap(answering, (answer) =>
        ask(() => dialect.answer?.(answer, request, provider) ?? answer),
      )
      const understood: VendorAnswer | VendorRequest = yield* orOtherwise(request, understanding)
      if (!("url" in understood)) return { answer: understood, call: request.call }
      request = understood
    }
    const answer = yield* orOtherwise(request, Effect.fail(misconfigured("its dialect asks for too many requests")))
    return { answer, call: request.call }
  })

  return Effect.fnUntraced(function* (
    call: Call,
    build: Build,
    /** What else the request says. */
    more: VendorRequest["parameters"] = {},
  ): Effect.fn.Return<Reply, ProviderFailure> {
    const built = yield* Effect.tryPromise({
      try: () => capture(build),
      catch: () => misconfigured("its metadata and its record do not go together"),
    })
    const plain = ours(provider, call, built, more)
    const request = yield* ask(() => dialect.request?.(plain, provider) ?? plain)
    const { answer, call: last } = yield* exchange(request)
    const body = Redacted.make(answer.body)
    const code = hasToken(answer.body) ? Option.none() : codeIn(answer.body)
    const isSuccess = answer.status >= 200 && answer.status < 300
    if (isSuccess && Option.isNone(code)) return { _tag: "Success", body }
    if (isOfClient(answer.status, code)) yield* provider.whenClientRefused ?? Effect.void
    const wait = retryAfter(new Headers(answer.headers), yield* DateTime.now)
    // Vendors have answered 200 with an error in the body.
    const means = meaningOf(provider.errors ?? [], last, { status: isSuccess ? 400 : answer.status, code, wait })
    return { _tag: "Refusal", means, body }
  })
}

/** What a refusal is to a call that knows of no device code. */
export const failureOf = (provider: Provider, means: DeviceWord | Reason): ProviderFailure =>
  typeof means === "string"
    ? ProviderFailure.transient(provider.name, "malformed-answer")
    : new ProviderFailure({ provider: provider.name, reason: means })

/** RFC 6749 section 5.2: the client is not known, or may not do this. */
const isOfClient = (status: number, code: Option.Option<string>): boolean =>
  (status === 400 || status === 401) &&
  Option.exists(code, (code) => code === "invalid_client" || code === "unauthorized_client")

const orOtherwise = <A>({ otherwise }: VendorRequest, answer: Effect.Effect<A, ProviderFailure>) =>
  otherwise === undefined ? answer : Effect.orElseSucceed(answer, () => otherwise)

const isPassing = ({ reason }: ProviderFailure): boolean => reason._tag === "Transient"

const hasToken = ({ access_token }: JsonObject): boolean => typeof access_token === "string" && access_token !== ""

/** The request that `build` would have sent. Endpoints were checked before, also against plain http. */
const capture = (build: Build) => {
  const { promise, resolve } = Promise.withResolvers<Omit<VendorRequest, "call" | "encoding">>()
  const built = build({
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url, { body, headers, method }) => {
      resolve({ url, method, headers, parameters: Object.fromEntries(body) })
      return Promise.resolve(Response.json({}))
    },
  })
  return built.then(() => promise)
}

/** The request as the record has it, before the dialect. */
const ours = (
  { bodies, endpoints, headers, resource }: Provider,
  call: Call,
  built: Omit<VendorRequest, "call" | "encoding">,
  more: VendorRequest["parameters"],
): VendorRequest => {
  // Who builds the request is not who sends it.
  const { "content-type": _, "user-agent": __, ...builtHeaders } = lowerCased(built.headers)
  return {
    call,
    method: built.method,
    url: call === "poll" ? (endpoints?.devicePoll ?? built.url) : built.url,
    encoding: bodies?.[call] ?? "form",
    headers: { ...builtHeaders, ...lowerCased(headers ?? {}) },
    parameters: { ...built.parameters, ...(resource !== undefined && call !== "revoke" && { resource }), ...more },
  }
}

const lowerCased = (headers: VendorRequest["headers"]) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const initOf = ({ encoding, headers, method, parameters }: VendorRequest): RequestInit => {
  if (method === "GET") return { method, headers }
  return encoding === "json"
    ? { method, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(parameters) }
    : { method, headers, body: new URLSearchParams(parameters) }
}
