/**
 * What the token endpoint was asked and what became of it. Nothing in here is secret, so it can be printed.
 */
import { DateTime } from "effect"
import type { Behaviour } from "./Behaviour.ts"
import { textOf } from "./Script.ts"
import type { Numbered, Presented } from "./TokenFamilies.ts"

const grantTypes = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"] as const

/** A call of the token endpoint. */
export interface Call {
  readonly at: DateTime.Utc
  /** What a client sends by mistake may be a secret: only what is known is repeated. */
  readonly grantType: (typeof grantTypes)[number] | "other"
  /** What the script had for it; `Ok` if nothing. */
  readonly behaviour: Behaviour
  /** The status of the answer, or what there was instead of one. */
  readonly answered: number | "dropped" | "hanging"
  /** The refresh token that was presented, if one was looked at. */
  readonly presented?: Presented
  /** The newest refresh token of the login that tokens were issued for, whether or not the client got them. */
  readonly issued?: Numbered
}

/** The grant type, if it is one that is known. */
export const grantTypeOf = (text: string | null): Call["grantType"] =>
  grantTypes.find((known) => known === text) ?? "other"

/** One line of JSON. */
export const lineOf = ({ answered, at, behaviour, grantType, issued, presented }: Call): string =>
  JSON.stringify({
    at: DateTime.formatIso(at),
    grant_type: grantType,
    behaviour: textOf(behaviour),
    answered,
    ...(presented !== undefined && { presented }),
    ...(issued !== undefined && { issued }),
  })
