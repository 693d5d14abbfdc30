/**
 * The tokens of each login, and what was done with them.
 *
 * Every function is synchronous, so to look at a refresh token, to spend it and to issue its successor is one step: of
 * any number of concurrent uses one is the first.
 */
import { Duration } from "effect"
import type { Policy } from "./Policy.ts"

/** All tokens that descend from one login, as data. */
export interface Family {
  /** Counted from 1 in the order of the logins. */
  readonly number: number
  /** Refreshes that brought tokens. */
  readonly redemptions: number
  /** Refreshes that brought none. */
  readonly refusals: number
  /** Uses of a refresh token that was spent before, outside the grace. Each is a refusal too. */
  readonly reuses: number
  /** None of its tokens is good for anything any more. */
  readonly dead: boolean
}

/** A refresh token as it may be talked about: the so manieth of its family. */
export interface Numbered {
  readonly family: number
  readonly token: number
}

/** How it is with a refresh token: only the first two are good for anything. */
export type Standing = "live" | "in-grace" | "spent" | "revoked"

/** What was presented for a refresh. */
export type Presented = ({ readonly was: Standing } & Numbered) | { readonly was: "unknown" }

/** Random texts for tokens that may be issued. */
export interface Fresh {
  readonly accessToken: string
  readonly refreshToken: string
}

export interface Issued {
  readonly accessToken: string
  /** Undefined if the one that was presented stays good. */
  readonly refreshToken: string | undefined
  /** The newest refresh token of the login. */
  readonly numbered: Numbered
}

interface FamilyState {
  readonly number: number
  redemptions: number
  refusals: number
  reuses: number
  dead: boolean
  tokens: number
}

interface RefreshToken {
  readonly family: FamilyState
  readonly number: number
  readonly predecessor: RefreshToken | undefined
  spentAt: number | undefined
  /** A successor was used, so the client has it, and no longer needs this one. */
  superseded: boolean
}

type Terms = Pick<Policy, "rotation" | "grace" | "reuse" | "accessTokenLifetime">

export const make = () => {
  const families: Array<FamilyState> = []
  const refreshTokens = new Map<string, RefreshToken>()
  const accessTokens = new Map<string, { readonly family: FamilyState; readonly expiresAt: number }>()

  const issueAccess = (family: FamilyState, { accessToken }: Fresh, terms: Terms, now: number) =>
    accessTokens.set(accessToken, { family, expiresAt: now + Duration.toMillis(terms.accessTokenLifetime) })

  const issueRefresh = (family: FamilyState, { refreshToken }: Fresh, predecessor?: RefreshToken) => {
    const number = ++family.tokens
    refreshTokens.set(refreshToken, { family, number, predecessor, spentAt: undefined, superseded: false })
    return { family: family.number, token: number }
  }

  const standing = ({ family, spentAt, superseded }: RefreshToken, { grace }: Terms, now: number): Standing => {
    if (family.dead) return spentAt === undefined ? "revoked" : "spent"
    if (spentAt === undefined) return "live"
    return !superseded && now - spentAt < Duration.toMillis(grace) ? "in-grace" : "spent"
  }

  return {
    /** A login: the first tokens of a new family. */
    begin: (fresh: Fresh, terms: Terms, now: number): Issued & { readonly refreshToken: string } => {
      const family = { number: families.length + 1, redemptions: 0, refusals: 0, reuses: 0, dead: false, tokens: 0 }
      families.push(family)
      issueAccess(family, fresh, terms, now)
      return { ...fresh, numbered: issueRefresh(family, fresh) }
    },

    /** A refresh: what was presented, and what is issued for it, if anything. */
    redeem: (text: string, fresh: Fresh, terms: Terms, now: number): [Presented, Issued | undefined] => {
      const token = refreshTokens.get(text)
      if (token === undefined) return [{ was: "unknown" }, undefined]
      const { family } = token
      const was = standing(token, terms, now)
      const numbered = { family: family.number, token: token.number }
      const presented = { was, ...numbered }
      if (was === "spent" || was === "revoked") {
        family.refusals++
        if (was === "spent") family.reuses++
        if (was === "spent" && terms.reuse === "revoke-family") family.dead = true
        return [presented, undefined]
      }
      family.redemptions++
      if (token.predecessor !== undefined) token.predecessor.superseded = true
      issueAccess(family, fresh, terms, now)
      if (terms.rotation === "keep") {
        return [presented, { accessToken: fresh.accessToken, refreshToken: undefined, numbered }]
      }
      token.spentAt ??= now
      return [presented, { ...fresh, numbered: issueRefresh(family, fresh, token) }]
    },

    /** Ends a login from the server's side. */
    revoke: (number: number): void => {
      const family = families[number - 1]
      if (family !== undefined) family.dead = true
    },

    /** Ends the login that a token is of (RFC 7009 section 2.1), whichever of its tokens that is. */
    revokeToken: (text: string): void => {
      const family = refreshTokens.get(text)?.family ?? accessTokens.get(text)?.family
      if (family !== undefined) family.dead = true
    },

    isActive: (accessToken: string, now: number): boolean => {
      const found = accessTokens.get(accessToken)
      return found !== undefined && !found.family.dead && now < found.expiresAt
    },

    list: (): ReadonlyArray<Family> =>
      families.map(({ dead, number, redemptions, refusals, reuses }) => ({
        number,
        redemptions,
        refusals,
        reuses,
        dead,
      })),
  }
}

export type TokenFamilies = ReturnType<typeof make>
