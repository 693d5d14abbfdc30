/**
 * The flow for a person whose browser runs on this machine (RFC 8252): the browser brings the answer itself, to a
 * listener on the loopback interface.
 *
 * Anybody on this machine can knock there, so a visit counts only if it is exactly the one that was asked for. Whatever
 * else comes is turned away, and the login goes on waiting.
 */
import { Clock, Deferred, Duration, Effect, Exit, Queue, Redacted, Result } from "effect"
import { Base64Url } from "effect/encoding"
import { SecureRandom } from "effect/crypto"
import type { Granter } from "../domain/AccountRecord.ts"
import type { StoredToken } from "../domain/Token.ts"
import { type Activity, makeActivity } from "./Activity.ts"
import type { Outcome } from "./CallbackPage.ts"
import { type CallbackRejected, type GrantDenied, GrantExpired } from "./GrantFailure.ts"
import { LoopbackListener, type Visit } from "./LoopbackListener.ts"
import { OAuthClient } from "./OAuthClient.ts"
import type { Provider } from "./Provider.ts"
import { ProviderFailure } from "./ProviderFailure.ts"

/** A browser login, begun. */
export interface BrowserLogin {
  readonly _tag: "browser_redirect"
  readonly granter: Granter
  readonly authorizationUrl: string
  readonly activity: Activity
  /** Waits for the answer, exchanges it, hands the token to `keep`, and tells the person in the browser how it went. */
  readonly settle: <A, E>(
    keep: (token: StoredToken) => Effect.Effect<A, E>,
  ) => Effect.Effect<A, E | CallbackRejected | GrantDenied | GrantExpired | ProviderFailure>
}

/** Where the browser may be sent back to. */
interface Address {
  readonly hostname: string
  /** None: any free port (RFC 8252 section 7.3). */
  readonly ports: ReadonlyArray<number>
  readonly path: string
  readonly search: string
}

/** Compares without telling by its duration how much was right. */
const sameSecret = (expected: string, actual: string): boolean => {
  if (expected.length !== actual.length) return false
  let difference = 0
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ actual.charCodeAt(i)
  return difference === 0
}

/** Whether a visit brings the answer to this login; if not, what the visitor is told. */
export const judge = (
  visit: Visit,
  expected: { readonly host: string; readonly path: string; readonly state: string },
): Result.Result<URLSearchParams, Outcome> => {
  const mark = visit.target.indexOf("?")
  const path = mark === -1 ? visit.target : visit.target.slice(0, mark)
  const query = mark === -1 ? "" : visit.target.slice(mark)
  const foreign = visit.origin !== undefined && visit.origin !== "null"
  if (visit.method !== "GET" || visit.host !== expected.host || foreign || path !== expected.path) {
    return Result.fail("not-here")
  }
  const parameters = new URLSearchParams(query)
  const isAnswer = parameters.has("code") || parameters.has("error")
  return isAnswer && sameSecret(expected.state, parameters.get("state") ?? "")
    ? Result.succeed(parameters)
    : Result.fail("not-this-login")
}

/** The names by which the listener can be reached. It listens on 127.0.0.1 only, whatever `localhost` resolves to. */
const listened = new Set(["127.0.0.1", "localhost"])

const addressOf = Effect.fnUntraced(function* (provider: Provider, redirectUri: string | undefined) {
  const declared = (redirectUri === undefined ? provider.redirectUris : [redirectUri]).map((uri) => new URL(uri))
  const usable = declared.filter((url) => url.protocol === "http:" && listened.has(url.hostname))
  const [first] = usable
  if (first === undefined) {
    // A hosted page is for another flow; but a loopback address, or one that was asked for, must be the one that is used.
    if (redirectUri !== undefined || declared.some((url) => url.protocol === "http:")) {
      const what = "a browser login needs a redirect URI on http://127.0.0.1 or http://localhost"
      return yield* ProviderFailure.misconfigured(provider.name, what)
    }
    const random = yield* SecureRandom.SecureRandom
    const path = Base64Url.encode(yield* random.randomBytes(16))
    return { hostname: "127.0.0.1", ports: [], path: `/${path}`, search: "" } satisfies Address
  }
  const siblings = usable.filter((url) => url.hostname === first.hostname && url.pathname === first.pathname)
  const ports = siblings.filter((url) => url.port !== "").map((url) => Number(url.port))
  return {
    hostname: first.hostname,
    ports: ports.length === siblings.length ? ports : [],
    path: first.pathname,
    search: first.search,
  } satisfies Address
})

interface Answer {
  readonly callback: URLSearchParams
  readonly target: string
  readonly outcome: Deferred.Deferred<Outcome>
}

/** How long the browser is kept waiting for the outcome of the exchange; the provider has 15 s. */
const patience = Duration.seconds(20)

/** An answer with our state but from another issuer is a mix-up attack (RFC 9207), not the end of this login. */
const isJunk = (failure: CallbackRejected | GrantDenied | ProviderFailure): boolean =>
  failure._tag === "CallbackRejected" && failure.what !== "an error from the provider"

/** Begins a browser login, which waits no longer than `lifetime`; the listener lives in the scope. */
export const begin = Effect.fn("BrowserRedirect.begin")(function* (
  provider: Provider,
  lifetime: Duration.Duration,
  redirectUri?: string,
) {
  const client = yield* OAuthClient
  const listener = yield* LoopbackListener
  const address = yield* addressOf(provider, redirectUri)
  const answers = yield* Queue.unbounded<Answer>()
  const expected = yield* Deferred.make<{ readonly host: string; readonly path: string; readonly state: string }>()

  /** How this login has ended, and, if an answer ended it, which one. */
  const settled = yield* Deferred.make<{ readonly outcome: Outcome; readonly target?: string }>()
  /** Who brings the same answer again has reloaded the page, and is told the same. */
  const afterwards = ({ target }: Visit) =>
    Effect.map(Deferred.await(settled), (end) =>
      end.target === undefined || end.target === target ? end.outcome : "already-answered",
    )

  const port = yield* listener.listen(
    address.ports,
    Effect.fnUntraced(function* (visit) {
      const judged = judge(visit, yield* Deferred.await(expected))
      if (Result.isFailure(judged)) return judged.failure
      if (yield* Deferred.isDone(settled)) return yield* afterwards(visit)
      const outcome = yield* Deferred.make<Outcome>()
      yield* Queue.offer(answers, { callback: judged.success, target: visit.target, outcome })
      return yield* Effect.raceFirst(Deferred.await(outcome), afterwards(visit)).pipe(
        Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed("already-answered" as const) }),
      )
    }),
  )
  const host = `${address.hostname}:${port}`
  const grant = yield* client.beginCode(provider, `http://${host}${address.path}${address.search}`)
  yield* Deferred.succeed(expected, { host, path: address.path, state: Redacted.value(grant.state) })
  const activity = yield* makeActivity

  const login: BrowserLogin = {
    _tag: "browser_redirect",
    granter: grant.granter,
    authorizationUrl: grant.authorizationUrl,
    activity,
    settle: Effect.fnUntraced(function* (keep) {
      const expiresAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(lifetime)
      while (true) {
        const left = Duration.millis(expiresAt - (yield* Clock.currentTimeMillis))
        const { callback, outcome, target } = yield* Queue.take(answers).pipe(
          Effect.timeoutOrElse({
            duration: left,
            orElse: () =>
              Effect.andThen(Deferred.succeed(settled, { outcome: "expired" }), Effect.fail(new GrantExpired())),
          }),
        )
        const redeemed = yield* Effect.result(activity.during(grant.redeem(callback)))
        if (Result.isSuccess(redeemed)) {
          return yield* keep(redeemed.success).pipe(
            Effect.onExit((exit) =>
              Deferred.succeed(settled, { outcome: Exit.isSuccess(exit) ? "signed-in" : "failed", target }),
            ),
          )
        }
        const { failure } = redeemed
        if (isJunk(failure)) {
          yield* Deferred.succeed(outcome, "not-this-login")
        } else {
          yield* Deferred.succeed(settled, { outcome: failure._tag === "GrantDenied" ? "denied" : "failed", target })
          return yield* failure
        }
      }
    }),
  }
  return login
})
