/**
 * What the person who runs the host is asked: may this peer do what is not in its grant? Pure.
 */
import { Schema } from "effect"
import { Wish } from "./Grant.ts"
import { printable } from "./RemoteText.ts"

export const Question = Schema.Struct({
  id: Schema.String,
  /** The id of the grant, and what people call it. */
  grant: Schema.String,
  label: Schema.String,
  wish: Wish,
  askedAt: Schema.DateTimeUtcFromString,
})
export type Question = typeof Question.Type

/** Once; as long as the grant is there and the host runs; as long as the grant is kept; or not, until the host runs anew. */
export const Decision = Schema.Literals(["once", "run", "always", "no"])
export type Decision = typeof Decision.Type

/** `get_token of github:work`, for people. */
export const wishInWords = (wish: Wish): string =>
  wish._tag === "Account"
    ? `${wish.permission} of ${printable(wish.account.toString())}`
    : `the API key ${printable(wish.name)}`

/** The question as it is put to a person. */
export const inWords = ({ label, wish }: Question): string => `${printable(label)} asks for ${wishInWords(wish)}`
