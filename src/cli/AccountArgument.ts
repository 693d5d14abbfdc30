/**
 * `PROVIDER` or `PROVIDER:BUCKET` on a command line; or `ADDRESS`, `ADDRESS#BUCKET`.
 */
import { Schema, SchemaTransformation } from "effect"
import { Argument } from "effect/cli"
import { AccountKeyFromString } from "../domain/AccountKey.ts"
import { canonical } from "../domain/AccountText.ts"

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
