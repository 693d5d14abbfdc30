/**
 * `token`: prints an access token, and nothing else, on stdout. It waits for no person, unless it is told to.
 */
import { Console, Data, DateTime, Duration, Effect, Option, Stdio } from "effect"
import { Command, Flag } from "effect/cli"
import { Broker } from "../broker/Broker.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { printable } from "../domain/RemoteText.ts"
import { isFresh } from "../domain/Token.ts"
import { isVariable } from "../helpers/Shell.ts"
import * as TokenFormat from "../helpers/TokenFormat.ts"
import { version } from "../version.ts"
import { account } from "./AccountArgument.ts"
import { confirm, yes } from "./Confirm.ts"
import * as Failures from "./Failures.ts"
import { Json } from "./GlobalFlags.ts"
import { handoutOf, print } from "./Handouts.ts"
import { Lifetime } from "./Lifetime.ts"
import * as Screen from "./Screen.ts"
import { StoredLogins } from "./StoredLogins.ts"
import { inWords } from "./DurationInWords.ts"
import { UsageError } from "./UsageError.ts"

/** What is kept is not good for long enough, and was not to be refreshed. */
export class TokenExpired extends Data.TaggedError("TokenExpired")<{ readonly account: AccountKey }> {
  override get message(): string {
    return `The token of ${printable(this.account.toString())} is no longer valid, or not for that long, and was not to be refreshed. Leave --no-refresh away.`
  }
}

/**
 * `token ACCOUNT`. Needs a `Broker`. Prints the access token, a secret, on stdout. Fails as `getToken` of the broker does
 * (with `--force-refresh` as `refreshToken`), with `TokenExpired` where `--no-refresh` has none that is good, with `TokenUnsaid` where the token does not go into the format, and with
 * `UsageError` for flags that contradict each other.
 */
export const token = Command.make(
  "token",
  {
    account,
    format: Flag.Literals("format", TokenFormat.formats).pipe(
      Flag.withDescription("The token as it is, an Authorization header, NAME=TOKEN for a shell, or JSON"),
      Flag.optional,
    ),
    variable: Flag.String("env").pipe(
      Flag.withDescription(`What NAME is for --format env; ${TokenFormat.defaultVariable} by default`),
      Flag.optional,
    ),
    minTtl: Flag.String("min-ttl").pipe(
      Flag.withDescription("Refresh unless the token is valid for this long, e.g. 10m or 90s"),
      Flag.withSchema(Lifetime),
      Flag.optional,
    ),
    noRefresh: Flag.Boolean("no-refresh").pipe(
      Flag.withDescription("Print what is kept, or nothing; ask no provider. On the host only"),
      Flag.withDefault(false),
    ),
    forceRefresh: Flag.Boolean("force-refresh").pipe(
      Flag.withDescription("Refresh though the token is valid; asks first where that uses up a refresh token"),
      Flag.withDefault(false),
    ),
    login: Flag.Boolean("login").pipe(
      Flag.withDescription("Log in if that is needed, where somebody sits who can"),
      Flag.withDefault(false),
    ),
    yes,
  },
  Effect.fn("token")(function* ({ account, forceRefresh, login, minTtl, noRefresh, variable, yes, ...input }) {
    const broker = yield* Broker
    const stored = yield* StoredLogins
    if (noRefresh && (forceRefresh || login)) {
      return yield* new UsageError({ detail: "With --no-refresh goes neither --force-refresh nor --login." })
    }
    if (Option.isSome(variable) && !isVariable(variable.value)) {
      return yield* new UsageError({ detail: "No variable can be called what --env says." })
    }
    const format = Option.getOrElse(input.format, () => (Option.isSome(variable) ? "env" : "raw"))
    const minimumValidity = Option.getOrUndefined(minTtl)

    const kept = Effect.gen(function* () {
      const token = yield* stored.kept(account)
      return isFresh(token, yield* DateTime.now, minimumValidity ?? Duration.zero)
        ? token
        : yield* new TokenExpired({ account })
    })
    const forced = Effect.gen(function* () {
      if (yield* stored.isRotating(account)) {
        const why = `The refresh token of ${printable(account.toString())} is good once: a refresh uses it up.`
        yield* confirm(`${why} Refresh?`, yes, `${why} Nothing was done.`)
      }
      return yield* broker.refreshToken(account)
    })
    const wanted = forceRefresh
      ? forced
      : Effect.suspend(() => broker.getToken(account, minimumValidity === undefined ? {} : { minimumValidity }))
    const token = yield* noRefresh
      ? kept
      : Effect.catchTag(wanted, ["TokenNotFound", "RefreshNotAvailable", "ReauthRequired"], (needed) =>
          Effect.gen(function* () {
            if (!login || !(yield* Screen.canAsk)) return yield* needed
            yield* Console.error(needed.message)
            yield* logIn(account)
            return yield* broker.getToken(account)
          }),
        )
    const now = yield* DateTime.now
    if (!noRefresh && minimumValidity !== undefined && !isFresh(token, now, minimumValidity)) {
      const left = token.expiresAt === undefined ? "" : `: ${inWords(DateTime.distance(now, token.expiresAt))}`
      yield* Console.error(`This token is valid for less than --min-ttl says${left}.`)
    }
    const { stdoutIsTerminal } = yield* Stdio.Stdio
    if (yield* stdoutIsTerminal) yield* Console.error("This is a secret; it is now on your screen.")
    yield* print(
      TokenFormat.answer(
        (yield* Json) ? "json" : format,
        account.toString(),
        handoutOf(token),
        Option.getOrUndefined(variable),
      ),
    )
  }, Effect.tapError(Failures.mark)),
).pipe(
  Command.withDescription("Print an access token"),
  Command.withExamples([
    { command: "tokenkeep token example --min-ttl 10m" },
    { command: "tokenkeep token example --format header | curl -H @- https://api.example/" },
    { command: 'eval "$(tokenkeep token example --env EXAMPLE_TOKEN)"' },
  ]),
)

/** As if `login` had been typed; what it says to programs is not for stdout here, and how it fails is said once, by us. */
const logIn = Effect.fnUntraced(function* (account: AccountKey) {
  const { login } = yield* Effect.promise(() => import("./Login.ts"))
  yield* Effect.provideService(
    Command.runWith(login, { version, renderErrors: false })([account.toString()]),
    Json,
    false,
  )
})
