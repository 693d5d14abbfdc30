/**
 * `logout`: revokes a login at the provider and forgets it on the host.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { Broker } from "../broker/Broker.ts"
import { printable } from "../domain/RemoteText.ts"
import type { Revocation } from "../domain/Revocation.ts"
import { account } from "./AccountArgument.ts"
import * as Failures from "./Failures.ts"
import { Json } from "./GlobalFlags.ts"
import { inProgram, ProgramName } from "./ProgramName.ts"

/** What is known of the other end. */
const atProvider: { readonly [outcome in Exclude<Revocation, "nothing">]: string } = {
  revoked: "The provider has revoked it.",
  not_offered: "The provider has no way to be told: an access token that was handed out is good until it expires.",
  failed:
    "The provider could not be told, so the login may be good there still: end it on the provider's page for connected programs.",
}

/**
 * `logout ACCOUNT`. Needs a `Broker`. Prints nothing on stdout but with `--json`; fails as `removeToken` of the broker does,
 * and does not fail where nobody was logged in, or the provider could not be told.
 */
export const logout = Command.make(
  "logout",
  { account },
  Effect.fn("logout")(function* ({ account }) {
    const broker = yield* Broker
    const name = printable(account.toString())
    const revocation = yield* broker.removeToken(account)
    if (yield* Json) {
      return yield* Console.log(ascii({ version: 1, account: account.toString(), revocation }))
    }
    yield* Console.error(
      revocation === "nothing"
        ? inProgram(
            yield* ProgramName,
            `Nobody was logged in as ${name}; nothing changed. See the logins with: tokenkeep status`,
          )
        : `Logged out of ${name}: it is forgotten here. ${atProvider[revocation]}`,
    )
  }, Effect.tapError(Failures.mark)),
).pipe(
  Command.withDescription("Have the provider revoke a login, and forget it"),
  Command.withExamples([{ command: "tokenkeep logout example:work" }]),
)
