/**
 * Logging in at an emulator, by each of the flows, as programs do it.
 */
import { Effect, Fiber, Option, Redacted } from "effect"
import { Broker } from "../../../src/broker/Broker.ts"
import type { AccountKey } from "../../../src/domain/AccountKey.ts"
import { pass } from "./Configured.ts"
import type { Emulator, Reply } from "./Emulator.ts"

/** A person carries the code over. */
export const byPaste = Effect.fnUntraced(function* (
  account: AccountKey,
  emulator: Emulator,
  /** What the person copies, out of where the browser ended. */
  copied: (address: URL) => string = ({ href }) => href,
) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
  return yield* broker.exchange(login.sessionId, Redacted.make(copied(new URL(emulator.visit(login.authUrl)))))
})

/** The browser brings it; its sockets are real, so the clock must be too. */
export const byBrowser = Effect.fnUntraced(function* (
  account: AccountKey,
  emulator: Emulator,
  will: "grant" | "deny" = "grant",
) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "browser_redirect" })
  const back = emulator.visit(login.authUrl, will)
  yield* Effect.promise(() => fetch(back).then((page) => page.text()))
  return yield* broker.poll(login.sessionId)
})

/** A device login, begun, for a test whose clock stands still. */
export const beginDevice = Effect.fnUntraced(function* (account: AccountKey) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "device_code" })
  const device = Option.getOrThrow(login.device)
  return {
    ...device,
    authUrl: login.authUrl,
    /** Lets so many seconds pass, and asks how it goes. */
    after: (seconds: number) => Effect.andThen(pass(seconds), broker.poll(login.sessionId)),
  }
})

/** What becomes of a refresh that is answered so, also when it is tried again; a minute later it may be tried anew. */
export const refreshAnswered = Effect.fnUntraced(function* (account: AccountKey, emulator: Emulator, reply: Reply) {
  const broker = yield* Broker
  emulator.says(reply, reply, reply)
  const refresh = yield* Effect.forkChild(Effect.flip(broker.refreshToken(account)))
  // How many turns of the event loop a hash takes is nobody's to say.
  while (refresh.pollUnsafe() === undefined) yield* pass(1)
  const failure = yield* Fiber.join(refresh)
  emulator.hush()
  yield* pass(60)
  return failure
})
