/**
 * What is asked for on the command line, where it is a token and nothing else. All other things, and whatever is written in
 * an unusual way, are for the whole program to understand.
 */
import { canonical, isAddress, split } from "../domain/AccountText.ts"
import type { Handout } from "../helpers/Handout.ts"
import { isName } from "./Json.ts"

export interface Wish {
  readonly provider: string
  readonly bucket: string
  /** How long the token has to be good, in milliseconds, if that was said. */
  readonly minimumValidity: number | undefined
  /** Whether the token's public fields are part of the answer. */
  readonly isOfAll: boolean
  /** What is said on stdout; undefined where there is something else to say. */
  readonly answer: (handout: Handout) => string | undefined
}

const units: { readonly [unit: string]: number } = { "": 1_000, s: 1_000, m: 60_000, h: 3_600_000 }

/** As {@link Lifetime}, in milliseconds. */
const lifetimeOf = (text: string): number | undefined => {
  const [, count, unit = ""] = /^(\d{1,6})([smh]?)$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (units[unit] ?? 0)
}

/** The account, if that is what it is for sure. */
const accountOf = (text: string) => {
  if (!/^[\x21-\x7e]{1,400}$/.test(text) || /^-|[*%]/.test(text)) return undefined
  const account = split(canonical(text))
  return isName(account.provider) && isName(account.bucket) ? account : undefined
}

/** What is said before a token that is one line of visible ASCII. */
const isSayable = (token: string): boolean => /^[\x21-\x7e]+$/.test(token)

const tokenOf = ([text, ...rest]: ReadonlyArray<string>): Wish | undefined => {
  const account = accountOf(text ?? "")
  if (account === undefined) return undefined
  let minimumValidity: number | undefined
  if (rest.length > 0) {
    const [flag, value = "", ...more] = rest.length === 1 ? (rest[0] ?? "").split("=") : rest
    minimumValidity = lifetimeOf(value)
    if (flag !== "--min-ttl" || minimumValidity === undefined || more.length > 0) return undefined
  }
  return {
    ...account,
    minimumValidity,
    isOfAll: false,
    answer: ({ accessToken }) => (isSayable(accessToken) ? `${accessToken}\n` : undefined),
  }
}

/** The wish in these arguments, if it is one. */
export const of = ([command, ...rest]: ReadonlyArray<string>): Wish | undefined =>
  command === "token" ? tokenOf(rest) : undefined

/** Whether the provider is one that has told itself where to log in; more is kept of these than an account. */
export const isOfAddress = ({ provider }: Wish): boolean => isAddress(provider)
