/**
 * Copies what a person asked to be copied.
 */
import { Context, Effect, Option } from "effect"
import * as SecureUrl from "../../oauth/SecureUrl.ts"

const write = (text: string): Effect.Effect<boolean> =>
  Effect.tryPromise(() => import("tinyclip")).pipe(
    Effect.flatMap(({ writeText }) => Effect.tryPromise(() => writeText(text))),
    Effect.as(true),
    Effect.orElseSucceed(() => false),
  )

/** The clipboard of this machine; whether it took the text. */
export class Clipboard extends Context.Reference<(text: string) => Effect.Effect<boolean>>(
  "tokenkeep/cli/login/Clipboard",
  {
    defaultValue: () => write,
  },
) {}

/** Codes are letters and digits in groups (RFC 8628 section 6.1). Who pastes must not be surprised. */
const isCode = (text: string) => /^[\p{L}\p{N}](?:[\p{L}\p{N} ._-]{0,62}[\p{L}\p{N}])?$/u.test(text)

const put = Effect.fnUntraced(function* (text: string) {
  const clipboard = yield* Clipboard
  return yield* clipboard(text)
})

/** Whether the code was copied; one that does not look like a code is not. */
export const copyCode = (code: string) => (isCode(code) ? put(code) : Effect.succeed(false))

/** Whether the address was copied; one that may not be opened is not. */
export const copyAddress = (url: string) =>
  Option.match(SecureUrl.parse(url), { onNone: () => Effect.succeed(false), onSome: ({ href }) => put(href) })
