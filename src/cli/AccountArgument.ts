/**
 * `PROVIDER` or `PROVIDER:BUCKET` on a command line; or `ADDRESS`, `ADDRESS#BUCKET`.
 */
import { Schema, SchemaTransformation } from "effect"
import { Argument } from "effect/cli"
import { AccountKeyFromString, canonicalName, split, textOf } from "../domain/AccountKey.ts"

/** People write an address in more than one way; a pattern is what it is. */
const canonical = (text: string): string => {
  if (text.includes("*")) return text
  const { bucket, provider } = split(text.replace(/^https?:/i, (scheme) => scheme.toLowerCase()))
  return textOf(canonicalName(provider), bucket)
}

/** The text of an account, or a pattern of accounts, as a person types it. */
export const Typed = Schema.String.pipe(
  Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: canonical, encode: (text) => text })),
)

export const account = Argument.String("account").pipe(
  Argument.withDescription(
    "A provider, or provider:bucket for one of several logins there; or the address of an MCP server",
  ),
  Argument.withSchema(Typed.pipe(Schema.decodeTo(AccountKeyFromString))),
)
