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
    yield* broker.removeToken(account)
    yield* Console.error(`Logged out of ${printable(account.toString())}. The provider itself was not told.`)
  }),
).pipe(Command.withDescription("Forget a login"), Command.withExamples([{ command: "tokenkeep logout github:work" }]))
