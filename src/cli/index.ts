/**
 * Commands to mount in a command line of one's own: each needs a `Broker`, `status` needs `LoginStatus` too.
 */
import { Command } from "effect/cli"
import { login } from "./Login.ts"
import { logout } from "./Logout.ts"
import { status } from "./Status.ts"
import { token } from "./Token.ts"

export * as LoginStatus from "./LoginStatus.ts"
export * as ExitCode from "./ExitCode.ts"
export { login, logout, status, token }

/** `auth login | token | status | logout`. */
export const auth = Command.make("auth").pipe(
  Command.withDescription("Log in and out, and print access tokens"),
  Command.withSubcommands([login, token, status, logout]),
)
