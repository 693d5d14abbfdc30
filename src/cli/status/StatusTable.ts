/**
 * The logins as a person reads them at a glance: a table that fits the width, and beneath it what to do about those that
 * need somebody.
 */
import { DateTime, Option } from "effect"
import { printable } from "../../domain/RemoteText.ts"
import type { AccountState } from "./LoginStatus.ts"
import type { Look, Style } from "../Screen.ts"
import { withoutCommand } from "../NextCommand.ts"
import { type Login, needAttention, type Survey } from "./Survey.ts"
import * as Lines from "../Lines.ts"
import * as Table from "../Table.ts"
import { inWords } from "../DurationInWords.ts"

/** Each state: how it looks, and what it says, for the help. */
export const states: { readonly [state in AccountState["state"]]: readonly [Style, string] } = {
  ok: ["green", "there is a good access token"],
  expiring: ["cyan", "the access token is renewed when it is next used, or by tokenkeep serve"],
  suspect: ["yellow", "the answer to a refresh was lost, and perhaps the login with it"],
  not_refreshed: ["yellow", "the host has the login, and could not refresh it now"],
  newer: ["yellow", "a newer tokenkeep has written it; it is handed out while it is good"],
  reauth_required: ["red", "log in again"],
  unsaved: ["red", "the newest token is only in the memory of a program: do not end that"],
  unreadable: ["red", "the file cannot be read, or is damaged"],
}

/** So little of a text is still worth its place. */
const leastText = 12

/** An account is not cut, but goes on in the next line beyond this. */
const leastAccount = 24

/** The table, in as many lines as it takes. */
export const table = ({ at, logins }: Survey, look: Look, columns: number): ReadonlyArray<string> => {
  const column = (title: string, weight: number, cell: (login: Login) => string): Table.Column<Login> => ({
    title,
    weight,
    cell,
    paint: (text) => (text === "-" ? look.paint("dim", text) : text),
  })
  return Table.fit<Login>(
    [
      { title: "ACCOUNT", cell: nameOf, least: leastAccount, paint: (text) => look.paint("bold", text) },
      {
        title: "STATE",
        cell: ({ state }) => state,
        paint: (text, { needsAttention, state }) =>
          look.paint(needsAttention && state === "ok" ? "yellow" : states[state][0], text),
      },
      column("EXPIRES", 6, (login) => expiry(login, at)),
      column("RENEWS", 5, (login) => renewal(login, at)),
      { ...column("SCOPES", 2, scopes), least: leastText },
      column("LAST REFRESH", 3, (login) => lastRefresh(login, at)),
      { ...column("GRANTED TO", 4, holders), least: leastText },
      { ...column("DETAILS", 1, details), least: leastText },
    ],
    logins,
    { width: columns, ellipsis: Table.ellipsisOf(look), paintTitle: (text) => look.paint("dim", text) },
  )
}

/** What a person should know, and what to type next. */
export const notes = (survey: Survey, look: Look, columns: number): ReadonlyArray<string> => {
  const calling = needAttention(survey)
  const others = survey.logins.filter(({ needsAttention, problem }) => !needsAttention && Option.isSome(problem))
  const arrow = look.isUnicode ? "→" : "->"
  const note = (login: Login): ReadonlyArray<string> => [
    `  ${look.paint("bold", nameOf(login))}`,
    ...Lines.wrapped(
      withoutCommand(
        Option.getOrElse(login.problem, () => ""),
        Option.getOrUndefined(login.next),
      ),
      Math.max(30, columns - 4),
    ).map((line) => `    ${line}`),
    // Not wrapped: it is to be copied.
    ...Option.toArray(login.next).map((command) => `    ${look.paint("cyan", `${arrow} ${command}`)}`),
  ]
  return [
    ...(calling.length > 0 ? ["", look.paint("bold", countOf(calling.length, survey.logins.length))] : []),
    ...calling.flatMap(note),
    ...(others.length > 0 ? ["", ...others.flatMap(note)] : []),
  ]
}

const countOf = (some: number, all: number): string => {
  if (all === 1) return "This login needs you:"
  return some === 1 ? `1 of ${all} logins needs you:` : `${some} of ${all} logins need you:`
}

const nameOf = ({ account }: Login): string => printable(account.toString())

const until = (at: DateTime.Utc, now: DateTime.Utc): string => `in ${inWords(DateTime.distance(now, at))}`

const expiry = ({ refresh, snapshot }: Login, now: DateTime.Utc): string =>
  Option.match(snapshot, {
    onNone: () => "",
    onSome: ({ expiresAt }) =>
      Option.match(expiresAt, {
        onNone: () => "never",
        onSome: (at) => {
          if (DateTime.isGreaterThan(at, now)) return until(at, now)
          // What was never had has no time of its own.
          return Option.isSome(refresh) ? `${inWords(DateTime.distance(at, now))} ago` : "expired"
        },
      }),
  })

const renewal = ({ refresh, snapshot, state }: Login, now: DateTime.Utc): string => {
  if (Option.isNone(refresh) || Option.isNone(snapshot)) return ""
  if (!snapshot.value.refreshable) return "cannot"
  if (state === "reauth_required" || state === "suspect") return ""
  const { backOffUntil, nextRenewal } = refresh.value
  const soonest = Option.orElse(backOffUntil, () => nextRenewal)
  return Option.match(soonest, {
    onNone: () => (Option.isSome(snapshot.value.expiresAt) ? "on use" : ""),
    onSome: (at) => (DateTime.isGreaterThan(at, now) ? until(at, now) : "on use"),
  })
}

const lastRefresh = ({ refresh }: Login, now: DateTime.Utc): string =>
  Option.match(
    Option.flatMap(refresh, ({ last }) => last),
    {
      onNone: () => "",
      onSome: ({ at, outcome }) =>
        outcome === "refreshed" ? `${inWords(DateTime.distance(at, now))} ago` : (otherEnds[outcome] ?? "failed"),
    },
  )

/** When it was is said beneath. */
const otherEnds: { readonly [outcome: string]: string } = {
  reauth_required: "refused",
  not_entitled: "refused",
  rate_limited: "put off",
  lost: "lost",
}

const scopes = ({ snapshot }: Login): string =>
  Option.match(snapshot, { onNone: () => "", onSome: ({ scopes }) => printable(scopes.join(" ")) })

const holders = ({ holders }: Login): string =>
  Option.match(holders, {
    onNone: () => "",
    onSome: (grants) => printable([...new Set(grants.map(({ grant }) => grant.label))].join(", ")),
  })

/** So many characters of the details are shown beside all the rest. */
const detailsWidth = 40

const details = ({ details }: Login): string => {
  const text = Object.entries(details)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")
  return Lines.cut(text, detailsWidth, "…")
}
