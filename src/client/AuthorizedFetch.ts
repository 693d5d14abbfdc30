/**
 * `fetch` with the token of an account: for the hosts of its provider's API, and for no others.
 *
 * A token that the API does not take is refreshed once, and the request is sent again if its body is still there: a stream
 * is not. Redirects are followed to those hosts only; where one is not followed, it is the answer. What goes wrong before
 * anything is sent, and the trouble of the broker, are what the promise is rejected with.
 */
import type { Context } from "effect"
import { Data, Effect, Option, Redacted, Schema } from "effect"
import { Broker, type CallError, type TokenError } from "../broker/Broker.ts"
import { type ConfigError, Providers } from "../broker/Providers.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { ProviderNotConfigured } from "../domain/Errors.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import type { PublicToken } from "../domain/Token.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { Fetch } from "../oauth/ProviderFetch.ts"
import { Api } from "../oauth/ProviderRecord.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import { baseOf, hostsOf, isBound, under } from "./ApiAddress.ts"
import { isUsable, withToken } from "./ApiHeaders.ts"
import * as SharedAnswer from "./SharedAnswer.ts"

export interface Options {
  /** How the API is used. Default: as the provider's record says, else as is known of a provider of this name. */
  readonly api?: Api
  /** The name of the known provider whose API it is, where there is no record that says so: in a sandbox. */
  readonly definition?: string
}

/** The request was not sent: the token of the account must not go where it is addressed to. */
export class DestinationRefused extends Data.TaggedError("DestinationRefused")<{
  readonly account: AccountKey
  /** The host, if there is one. The rest of an address may be secret. */
  readonly host: Option.Option<string>
  /** The hosts that the token may be sent to. */
  readonly hosts: ReadonlyArray<string>
}> {
  override get message(): string {
    const account = printable(this.account.toString())
    const nothing = "Nothing was sent."
    if (this.hosts.length === 0) {
      return `No host is known to which the tokens of ${account} may be sent. ${nothing} Name some in the hosts of the api of its provider's record, or in the program.`
    }
    const hosts = `over https to ${oneLine(this.hosts.join(", "))}`
    return Option.match(this.host, {
      onNone: () =>
        `This is no address to which the tokens of ${account} may be sent: they go ${hosts}. ${nothing} Give a whole address there, or the baseUrl of the provider's api.`,
      onSome: (host) =>
        `The tokens of ${account} go ${hosts}, without a user name in the address, and this one is on ${printable(host)}. ${nothing} If they may go there, name it in the hosts of the api of its provider's record.`,
    })
  }
}

/** The request was not sent: no header can hold the account's token. */
export class TokenUnusable extends Data.TaggedError("TokenUnusable")<{ readonly account: AccountKey }> {
  override get message(): string {
    return `The token of ${printable(this.account.toString())} holds characters that no header can. Nothing was sent; log in again, or save another one.`
  }
}

/** Why there is no answer, other than that the connection failed. */
export type Failure = TokenError | CallError | ConfigError | ProviderNotConfigured | DestinationRefused | TokenUnusable

/** What `fetch` itself was rejected with. */
export class FetchRejected extends Data.TaggedError("FetchRejected")<{ readonly cause: unknown }> {}

type Fetched = typeof globalThis.fetch
type Input = Parameters<Fetched>[0]

/** One request to one address, with the token that it begins with. */
export interface Call {
  /** The whole address. */
  readonly url: URL
  /** As `fetch`; the input may name another address that is allowed. */
  readonly send: (input: Input, init?: RequestInit) => Effect.Effect<Response, Failure | FetchRejected>
}

/** One hop. */
interface Step {
  readonly url: URL
  readonly init: RequestInit
}

/** RFC 9110 section 15.4: the statuses that say where else to go. */
const redirects = new Set([301, 302, 303, 307, 308])

/** Fewer than the 20 of the Fetch standard: an API has little reason for any. */
const maximumRedirects = 5

/** Whether a body is still there when it was sent. */
const isRepeatable = (body: unknown): boolean =>
  body === undefined ||
  body === null ||
  typeof body === "string" ||
  ArrayBuffer.isView(body) ||
  [ArrayBuffer, Blob, FormData, URLSearchParams].some((kind) => body instanceof kind)

const addressOf = (input: Input) => (input instanceof Request ? input.url : String(input))

/** What a `Request` says is what an `init` would; its body is a stream. */
const initOf = (input: Input, init: RequestInit = {}): RequestInit => {
  if (!(input instanceof Request)) return init
  const { body, headers, method, redirect, signal } = new Request(input, init)
  return { ...init, method, headers, signal, redirect, ...(body !== null && { body, duplex: "half" }) }
}

/** Ends the connection of an answer that nobody reads. */
const discard = (response: Response) =>
  Effect.ignore(Effect.tryPromise(() => response.body?.cancel() ?? Promise.resolve()))

const isSame = (one: PublicToken, other: PublicToken) =>
  Redacted.value(one.accessToken) === Redacted.value(other.accessToken)

const decodeApi = Schema.decodeUnknownOption(Api)

/** Where a redirect leads, if it is to be followed. */
const next = (api: Api, { init, url }: Step, response: Response): Step | undefined => {
  const location = response.headers.get("location")
  if (!redirects.has(response.status) || location === null) return undefined
  const to = URL.parse(location, url.href)
  if (to === null || !isBound(api, to) || (url.protocol === "https:" && to.protocol !== "https:")) return undefined
  const method = (init.method ?? "GET").toUpperCase()
  const isSafe = method === "GET" || method === "HEAD"
  if (response.status === 303 && !isSafe) {
    const { body: _, duplex: __, ...bodyless } = init
    const headers = [...new Headers(init.headers)].filter(([name]) => !name.startsWith("content-"))
    return { url: to, init: { ...bodyless, method: "GET", headers } }
  }
  const isKept = isSafe || response.status === 307 || response.status === 308
  return isKept && isRepeatable(init.body) ? { url: to, init } : undefined
}

/** How the API is used. Where a record says so, it is asked each time, so that an edit counts at once. */
const apiOf = (
  { provider }: AccountKey,
  { api, definition }: Options,
  providers: Option.Option<Providers["Service"]>,
  definitions: ReadonlyArray<ProviderDefinition>,
): Effect.Effect<Api, ProviderNotConfigured | ConfigError> => {
  if (api === undefined && definition === undefined && Option.isSome(providers)) {
    return Effect.map(providers.value.record(provider), (record) => record.api ?? {})
  }
  const known = definitions.find(({ name }) => name === (definition ?? provider))?.record.api
  // What cannot be understood names no hosts.
  return Effect.succeed(Option.getOrElse(decodeApi(api ?? known ?? {}), () => ({})))
}

/** Begins calls. */
export const make = Effect.fnUntraced(function* (account: AccountKey, options: Options = {}) {
  const broker = yield* Broker
  const fetch = yield* Fetch
  const providers = yield* Effect.serviceOption(Providers)
  const currentApi = apiOf(account, options, providers, yield* ProviderDefinitions)
  const current = yield* SharedAnswer.make<PublicToken, TokenError | CallError>()
  const renewed = yield* SharedAnswer.make<PublicToken, TokenError | CallError>()

  const getToken = Effect.suspend(() => current.after(current.asked(), broker.getToken(account)))

  /** A token instead of one that was not taken. If the broker has another one already, it is that. */
  const renew = (sent: PublicToken, since: number) =>
    renewed.after(
      since,
      Effect.filterOrElse(
        broker.getToken(account),
        (token) => !isSame(token, sent),
        () => broker.refreshToken(account),
      ),
    )

  const refused = (api: Api, url: URL | null) =>
    new DestinationRefused({
      account,
      host: Option.filter(Option.fromNullishOr(url?.host), (host) => host !== ""),
      hosts: hostsOf(api),
    })

  const sendFrom = Effect.fnUntraced(function* (api: Api, first: PublicToken, begun: Step) {
    // "error" and "manual" are wishes of the caller; else it is done here.
    const follows = begun.init.redirect === undefined || begun.init.redirect === "follow"
    const redirect = begun.init.redirect === "error" ? "error" : "manual"
    let token = first
    let step = begun
    let hops = 0
    let isRenewed = false
    while (true) {
      const since = renewed.asked()
      if (!isUsable(token)) return yield* new TokenUnusable({ account })
      const response = yield* Effect.tryPromise({
        try: () =>
          fetch(step.url.href, {
            ...step.init,
            redirect,
            headers: withToken(new Headers(step.init.headers), api, token),
          }),
        catch: (cause) => new FetchRejected({ cause }),
      })
      if (response.status === 401 && !isRenewed && isRepeatable(step.init.body)) {
        isRenewed = true
        const other = yield* Effect.onError(renew(token, since), () => discard(response))
        if (isSame(other, token)) return response
        token = other
      } else {
        const followed = follows && hops < maximumRedirects ? next(api, step, response) : undefined
        if (followed === undefined) return response
        step = followed
        hops++
      }
      yield* discard(response)
    }
  })

  /** Decides about an address, as much as can be without a token before there is one. */
  return Effect.fnUntraced(function* (address: string) {
    const api = yield* currentApi
    const whole = URL.parse(address)
    if (hostsOf(api).length === 0 || (whole !== null && !isBound(api, whole))) return yield* refused(api, whole)
    const token = yield* getToken
    const base = baseOf(api, token.extras)
    const url = whole ?? (base === undefined ? null : under(base, address))
    if (url === null || !isBound(api, url)) return yield* refused(api, url)
    return {
      url,
      send: Effect.fnUntraced(function* (input, init) {
        const to = URL.parse(addressOf(input)) ?? url
        if (!isBound(api, to)) return yield* refused(api, to)
        return yield* sendFrom(api, token, { url: to, init: initOf(input, init) })
      }),
    } satisfies Call
  })
})

/** Never succeeds; ends when the caller of `fetch` no longer wants its answer. */
const aborted = (signal: AbortSignal | null | undefined) =>
  Effect.callback<never, FetchRejected>((resume) => {
    if (signal === null || signal === undefined) return
    const abort = () => resume(Effect.fail(new FetchRejected({ cause: signal.reason })))
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })

/** A function like `fetch`, that is rejected with what `fetch` would be, or with a {@link Failure}. */
export const toPromise =
  (
    context: Context.Context<never>,
    send: (input: Input, init?: RequestInit) => Effect.Effect<Response, Failure | FetchRejected>,
  ): Fetched =>
  (input, init) =>
    Effect.raceFirst(
      send(input, init),
      aborted(init?.signal ?? (input instanceof Request ? input.signal : undefined)),
    ).pipe(
      // The very value, not one that wraps it.
      Effect.catchTag("FetchRejected", ({ cause }) => Effect.die(cause)),
      Effect.runPromiseWith(context),
    )

/** A `fetch` for what takes one, like the SDKs of providers. */
export const fetchFor = Effect.fnUntraced(function* (account: AccountKey, options: Options = {}) {
  const begin = yield* make(account, options)
  return toPromise(yield* Effect.context<never>(), (input, init) =>
    Effect.flatMap(begin(addressOf(input)), ({ send }) => send(input, init)),
  )
})
