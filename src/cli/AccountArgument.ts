/**
 * `PROVIDER` or `PROVIDER:BUCKET` on a command line.
 */
import { Argument } from "effect/cli"
import { AccountKeyFromString } from "../domain/AccountKey.ts"

export const account = Argument.String("account").pipe(
  Argument.withDescription("A provider, or provider:bucket for one of several logins there"),
  Argument.withSchema(AccountKeyFromString),
)
