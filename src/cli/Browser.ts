/**
 * Opens an address in the person's browser: by argument vector, never through a shell, and only an address that a
 * browser fetches rather than runs.
 */
import { Console, Effect, Option } from "effect"
import * as SecureUrl from "../oauth/SecureUrl.ts"

/** Tries to open the address. That it could not be is no failure: the address was printed. */
export const open = Effect.fnUntraced(function* (url: string) {
  const address = SecureUrl.parse(url)
  if (Option.isNone(address)) return
  yield* Effect.tryPromise(() => import("open")).pipe(
    Effect.flatMap((module) => Effect.tryPromise(() => module.default(address.value.href))),
    // A launcher that fails later must not become an uncaught exception.
    Effect.tap((child) => Effect.sync(() => child.on("error", () => {}))),
    Effect.catch(() => Console.error("No browser could be opened; open the address yourself.")),
  )
})
