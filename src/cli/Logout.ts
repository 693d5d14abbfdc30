/**
 * `logout`: forgets a login on the host.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { Broker } from "../broker/Broker.ts"
import { printable } from "../domain/RemoteText.ts"
import { account } from "./AccountArgument.ts"

export const logout = Command.make(
  "logout",
  { account },
  Effect.fn("logout")(function* ({ account }) {
    const broker = yield* Broker
    const name = printable(account.toString())
    const buckets = yield* broker.listBuckets(account.provider)
    yield* broker.removeToken(account)
    yield* Console.error(
      buckets.includes(account.bucket)
        ? `Logged out of ${name}. The provider was not told: an access token that was handed out is good until it expires.`
        : `Nobody was logged in as ${name}; nothing changed. See the logins with: tokenkeep status`,
    )
  }),
).pipe(Command.withDescription("Forget a login"), Command.withExamples([{ command: "tokenkeep logout example:work" }]))
