/**
 * The demo's authorization server, in a process of its own. Says over IPC where it is, and when asked, which refresh
 * tokens it has issued.
 */
import { Effect } from "effect"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"

Effect.gen(function* () {
  const server = yield* AuthorizationServer.start()
  process.on("message", () => process.send?.({ refreshTokens: [...server.refreshTokens] }))
  process.on("disconnect", () => process.exit())
  process.send?.({ issuer: server.issuer, clientId: server.clientId })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runFork)
