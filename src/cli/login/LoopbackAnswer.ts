/**
 * Brings the answer to a browser login to its listener, for a browser that could not: the person pastes the address that it
 * ended on, and we visit it.
 *
 * That address is visited only if it is where this very login sends the browser, on the loopback interface, and has the
 * login's state. No name is resolved, no proxy asked, no redirect followed, and nothing of the answer is read.
 */
import { Data, Effect, Option } from "effect"

/** A request that the browser would have made. */
export interface Answer {
  /** As the browser calls it: name and port. */
  readonly host: string
  readonly port: number
  /** Path and query. */
  readonly target: string
}

const listened = new Set(["127.0.0.1", "localhost"])

const redirectOf = (authorizationUrl: string) =>
  Option.gen(function* () {
    const { searchParams } = yield* Option.fromNullOr(URL.parse(authorizationUrl))
    const redirect = yield* Option.fromNullOr(URL.parse(searchParams.get("redirect_uri") ?? ""))
    const state = yield* Option.fromNullOr(searchParams.get("state"))
    const isListened = redirect.protocol === "http:" && listened.has(redirect.hostname) && redirect.port !== ""
    return yield* isListened && state !== "" ? Option.some({ redirect, state }) : Option.none()
  })

/** Whether the login of that page sends the browser to this machine, so that somebody could paste where it ended. */
export const isExpected = (authorizationUrl: string): boolean => Option.isSome(redirectOf(authorizationUrl))

/** The answer in pasted text, if it is one to the login of that page. */
export const parse = (pasted: string, authorizationUrl: string): Option.Option<Answer> =>
  Option.gen(function* () {
    const { redirect, state } = yield* redirectOf(authorizationUrl)
    const text = pasted.trim()
    // Browsers hide the scheme of what they show.
    const url = yield* Option.fromNullOr(URL.parse(/^https?:/i.test(text) ? text : `http://${text}`))
    const isOurs =
      url.origin === redirect.origin && url.pathname === redirect.pathname && url.username === "" && url.password === ""
    const states = url.searchParams.getAll("state")
    const isAnswer = url.searchParams.has("code") || url.searchParams.has("error")
    return yield* isOurs && isAnswer && states.length === 1 && states[0] === state
      ? Option.some({ host: url.host, port: Number(url.port), target: `${url.pathname}${url.search}` })
      : Option.none()
  })

/** Nobody listens there, on this machine. */
export class NobodyThere extends Data.TaggedError("NobodyThere")<{}> {}

/** The listener answers when the login is over, and after 20 s in any case. */
const patience = "30 seconds"

/** Visits the address; whether it was taken for the answer to a login. */
export const bring = ({ host, port, target }: Answer): Effect.Effect<boolean, NobodyThere> =>
  Effect.promise(() => import("node:http")).pipe(
    Effect.flatMap(({ request }) =>
      Effect.callback<boolean, NobodyThere>((resume) => {
        const visit = request({ host: "127.0.0.1", port, path: target, headers: { host }, agent: false }, (answer) => {
          answer.resume()
          resume(Effect.succeed(answer.statusCode === 200))
        })
        visit.once("error", () => resume(Effect.fail(new NobodyThere())))
        visit.end()
        return Effect.sync(() => visit.destroy())
      }),
    ),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(true) }),
    // A path that no request can have.
    Effect.catchDefect(() => Effect.succeed(false)),
  )
