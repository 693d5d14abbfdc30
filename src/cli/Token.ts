/**
 * `token`: prints an access token and a newline, and nothing else, on stdout.
 */
import { Console, Effect, Option, Redacted, Stdio } from "effect"
import { Command, Flag } from "effect/cli"
import { Broker } from "../broker/Broker.ts"
import { account } from "./AccountArgument.ts"
import { Lifetime } from "./Lifetime.ts"

export const token = Command.make(
  "token",
  {
    account,
    minTtl: Flag.String("min-ttl").pipe(
      Flag.withDescription("Refresh unless the token is valid for this long, e.g. 10m or 90s"),
      Flag.withSchema(Lifetime),
      Flag.optional,
    ),
  },
  Effect.fn("token")(function* ({ account, minTtl }) {
    const broker = yield* Broker
    const token = yield* broker.getToken(account, Option.isSome(minTtl) ? { minimumValidity: minTtl.value } : {})
    const { stdoutIsTerminal } = yield* Stdio.Stdio
    if (yield* stdoutIsTerminal) yield* Console.error("This is a secret; it is now on your screen.")
    yield* Console.log(Redacted.value(token.accessToken))
  }),
).pipe(
  Command.withDescription("Print an access token"),
  Command.withExamples([{ command: "tokenkeep token example --min-ttl 10m" }]),
)
