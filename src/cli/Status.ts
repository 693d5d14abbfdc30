/**
 * `status`: the logins and how they are, without any secret.
 */
import { Console, DateTime, Effect, Option } from "effect"
import { Command } from "effect/cli"
import { printable } from "../domain/RemoteText.ts"
import type { TokenSnapshot } from "../domain/Token.ts"
import { Json } from "./GlobalFlags.ts"
import { LoginStatus, type AccountState } from "./LoginStatus.ts"
import * as Table from "./Table.ts"
import { inWords } from "./TimeLeft.ts"

export const status = Command.make(
  "status",
  {},
  Effect.fn("status")(function* () {
    const json = yield* Json
    const accounts = yield* LoginStatus
    const found = yield* accounts.list
    const now = yield* DateTime.now
    yield* json ? Console.log(JSON.stringify(toJson(found))) : showTable(found, now)
  }),
).pipe(
  Command.withDescription("Show the logins. Through a socket it asks for each token, as any program would"),
  Command.withExamples([{ command: "tokenkeep status --json" }]),
)

const toJson = (accounts: ReadonlyArray<AccountState>) => ({
  version: 1,
  accounts: accounts.map(({ account, details, problem, refresh, snapshot, state }) => ({
    provider: account.provider,
    bucket: account.bucket,
    state,
    ...(Option.isSome(problem) && { problem: problem.value }),
    ...(Object.keys(details).length > 0 && { details }),
    ...Option.match(snapshot, {
      onNone: () => ({}),
      onSome: ({ accessToken, expiresAt, refreshable, scopes }) => ({
        accessToken,
        scopes,
        ...(Option.isSome(refresh) && { refreshable }),
        ...instant("expiresAt", expiresAt),
      }),
    }),
    ...Option.match(refresh, {
      onNone: () => ({}),
      onSome: ({ backOffUntil, last, nextRenewal, rotation, unanswered }) => ({
        rotation,
        ...instant("nextRenewalAt", nextRenewal),
        ...instant("backOffUntil", backOffUntil),
        ...Option.match(last, {
          onNone: () => ({}),
          onSome: ({ at, outcome }) => ({ lastRefresh: { ...instant("at", Option.some(at)), outcome } }),
        }),
        ...Option.match(unanswered, {
          onNone: () => ({}),
          onSome: ({ at, pid }) => ({ unanswered: { ...instant("sentAt", Option.some(at)), pid } }),
        }),
      }),
    }),
  })),
})

/** For people and for programs: RFC 3339, and the same in seconds. */
const instant = (name: string, at: Option.Option<DateTime.Utc>): { readonly [name: string]: string | number } =>
  Option.match(at, {
    onNone: () => ({}),
    onSome: (instant) => ({
      [name]: DateTime.formatIso(instant),
      [`${name}EpochSeconds`]: Math.floor(DateTime.toEpochMillis(instant) / 1000),
    }),
  })

const showTable = Effect.fnUntraced(function* (accounts: ReadonlyArray<AccountState>, now: DateTime.Utc) {
  if (accounts.length === 0) return yield* Console.error("Nobody is logged in. Log in with: tokenkeep login PROVIDER")
  const hasDetails = accounts.some(({ details }) => Object.keys(details).length > 0)
  const titles = ["ACCOUNT", "STATE", "EXPIRES", "SCOPES", ...(hasDetails ? ["DETAILS"] : [])]
  yield* Console.log(
    Table.format([
      titles,
      ...accounts.map((account) => [...row(account, now), ...(hasDetails ? [inShort(account)] : [])]),
    ]),
  )
  for (const { account, problem } of accounts) {
    if (Option.isSome(problem)) yield* Console.error(`${printable(account.toString())}: ${problem.value}`)
  }
})

const row = ({ account, snapshot, state }: AccountState, now: DateTime.Utc): ReadonlyArray<string> => [
  printable(account.toString()),
  state,
  Option.match(snapshot, { onNone: () => "-", onSome: (token) => expiry(token, now) }),
  Option.match(snapshot, { onNone: () => "-", onSome: ({ scopes }) => printable(scopes.join(" ")) }),
]

/** So many characters of the details are shown beside all the rest. */
const detailsWidth = 40

const inShort = ({ details }: AccountState): string => {
  const text = Object.entries(details)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")
  return text.length > detailsWidth ? `${text.slice(0, detailsWidth - 1)}…` : text
}

const expiry = ({ expiresAt, refreshable }: TokenSnapshot, now: DateTime.Utc): string =>
  Option.match(expiresAt, {
    onNone: () => "never",
    onSome: (instant) => {
      if (DateTime.isGreaterThan(instant, now)) return `in ${inWords(DateTime.distance(now, instant))}`
      return refreshable ? "refreshed on use" : "expired"
    },
  })
