/**
 * What a program is told while a login goes on, one JSON object per line on stdout, so that it can show the code itself.
 */
import { Console, Duration, Option } from "effect"
import { ascii } from "../../domain/AsciiJson.ts"
import type { PublicToken } from "../../domain/Token.ts"
import { instant } from "../Instant.ts"
import type { ShownLogin } from "./ShownLogin.ts"

const tell = (type: string, event: { readonly [field: string]: unknown }) =>
  Console.log(ascii({ version: 1, type, ...event }))

const optional = <Name extends string>(name: Name, value: Option.Option<string>) =>
  Option.match(value, { onNone: () => ({}), onSome: (text) => ({ [name]: text }) })

/** The login has begun, and this is what the person has to do. */
export const begun = (login: ShownLogin) =>
  tell("begun", {
    flow: login.flow,
    account: login.account,
    ...optional("auth_url", login.address),
    ...Option.match(login.device, {
      onNone: () => ({}),
      onSome: ({ address, code }) => ({ user_code: code, ...optional("verification_uri", address) }),
    }),
    ...instant("expiresAt", Option.some(login.expiresAt)),
    ...optional("notice", login.notice),
  })

/** It still waits. Said when it begins to, and once a minute. */
export const waiting = (login: ShownLogin, left: Duration.Duration) =>
  tell("waiting", { flow: login.flow, account: login.account, secondsLeft: Math.ceil(Duration.toSeconds(left)) })

/** A line on stdin was not the answer, and another one may be. */
export const pasteRefused = (login: ShownLogin, message: string) =>
  tell("paste_refused", { account: login.account, message })

/** It is over, and went well. */
export const loggedIn = (login: ShownLogin, token: PublicToken) =>
  tell("logged_in", {
    account: login.account,
    ...instant("expiresAt", Option.fromUndefinedOr(token.expiresAt)),
  })

/** The person stopped it: the one line of an error. */
export const cancelled = (message: string) => Console.log(ascii({ version: 1, error: { code: "CANCELLED", message } }))
