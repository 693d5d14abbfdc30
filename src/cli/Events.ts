/**
 * `events`: what happens to logins, as it happens, in all processes of this user; one JSON object per line on stdout.
 */
import { Console, Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { type AuthEvent, isOfTokens, toJson, types } from "../domain/AuthEvent.ts"
import { AccountPatternFromString, matchesAccount } from "../domain/NamePattern.ts"
import * as EventFollower from "../server/EventFollower.ts"
import { onHost } from "./OnHost.ts"

/** Ends when nobody reads what is printed any more. */
const unread = Effect.callback<void>((resume) => {
  process.stdout.once("close", () => resume(Effect.void))
})

/** Prints lines at the pace of who reads them. */
const print = (lines: string) =>
  Effect.callback<void>((resume) => {
    process.stdout.write(lines, () => resume(Effect.void))
  })

export const events = Command.make(
  "events",
  {
    account: Flag.String("account").pipe(
      Flag.withDescription("Only of these accounts: a name, or a pattern like github:*; repeat for more"),
      Flag.withSchema(AccountPatternFromString),
      Flag.atLeast(0),
    ),
    type: Flag.Literals("type", types).pipe(
      Flag.withDescription("Only of this type; repeat for more"),
      Flag.atLeast(0),
    ),
  },
  Effect.fn("events")(
    function* ({ account, type }) {
      yield* onHost("Events")
      const stream = yield* EventFollower.follow({ tokens: type.length === 0 || type.some(isOfTokens) })
      const isWanted = (event: AuthEvent) =>
        event._tag === "missed" ||
        ((type.length === 0 || type.includes(event._tag)) &&
          (account.length === 0 || account.some((pattern) => matchesAccount(pattern, event.account))))
      yield* Console.error("Following what happens to logins, from now on. Ctrl-C ends.")
      yield* stream.pipe(
        Stream.filter(isWanted),
        Stream.runForEachArray((some) => print(some.map((event) => `${toJson(event)}\n`).join(""))),
        Effect.raceFirst(unread),
      )
    },
    Effect.scoped,
    Effect.provide(SecureRandom.layerWebCrypto),
  ),
).pipe(
  Command.withDescription("Print what happens to logins, in all processes of this user, until interrupted"),
  Command.withExamples([
    { command: "tokenkeep events --type reauth_required --type refresh_failed" },
    { command: "tokenkeep events --account github:*" },
  ]),
)
