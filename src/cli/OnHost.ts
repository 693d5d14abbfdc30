/**
 * What is changed on the host only: a sandbox that changed files of its own would change nothing.
 */
import { Config, Effect, Option } from "effect"
import { UsageError } from "./UsageError.ts"

/** Fails where `TOKENKEEP_SOCKET` leads to a host; `what` are the things that are kept there. */
export const onHost = Effect.fnUntraced(function* (what: string) {
  const socket = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
  if (Option.isSome(socket)) {
    return yield* new UsageError({
      detail: `${what} are kept on the host. Type this there, or without TOKENKEEP_SOCKET.`,
    })
  }
})
