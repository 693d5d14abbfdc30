/**
 * One login in progress, as a state machine.
 *
 * An open session holds what is needed to go on with the login; a used one has let go of it. So nothing can be taken
 * twice, whatever the caller does.
 */
import { DateTime, Equal, Result, Schema } from "effect"
import type { AccountKey } from "./AccountKey.ts"
import { PeerMismatch, SessionExpired, SessionUsed } from "./Errors.ts"
import type { Peer } from "./Peer.ts"
import { flowTypes } from "./RecordWords.ts"

/** 128 random bits as 32 hexadecimal digits. */
export type SessionId = string

/** How a person grants access. The names are those of the wire. */
export const FlowType = Schema.Literals(flowTypes)
export type FlowType = typeof FlowType.Type

interface Common {
  readonly id: SessionId
  readonly account: AccountKey
  readonly peer: Peer
  readonly expiresAt: DateTime.Utc
}

/** A session that can still be taken; `login` is what the flow needs to finish. */
export interface Open<Login> extends Common {
  readonly _tag: "Open"
  readonly login: Login
}

/** A session that somebody has taken: its exchange is under way, or has failed. */
export interface Used extends Common {
  readonly _tag: "Used"
}

export type Session<Login> = Open<Login> | Used

/** A session at its beginning. */
export const open = <Login>(
  id: SessionId,
  account: AccountKey,
  peer: Peer,
  expiresAt: DateTime.Utc,
  login: Login,
): Open<Login> => ({ _tag: "Open", id, account, peer, expiresAt, login })

/** Whether the session's life is over at `now`. */
export const isExpired = (session: { readonly expiresAt: DateTime.Utc }, now: DateTime.Utc): boolean =>
  DateTime.isLessThanOrEqualTo(session.expiresAt, now)

/** The session, if `peer` may go on with it at `now`. Checks, in this order: unused, not expired, same peer. */
export const check = <Login>(
  session: Session<Login>,
  peer: Peer,
  now: DateTime.Utc,
): Result.Result<Open<Login>, SessionUsed | SessionExpired | PeerMismatch> => {
  if (session._tag === "Used") return Result.fail(SessionUsed.make({ sessionId: session.id }))
  if (isExpired(session, now)) return Result.fail(SessionExpired.make({ sessionId: session.id }))
  if (!Equal.equals(session.peer, peer)) return Result.fail(PeerMismatch.make({ sessionId: session.id }))
  return Result.succeed(session)
}

/** The state after an open session was taken. */
export const use = <Login>({ account, expiresAt, id, peer }: Open<Login>): Used => ({
  _tag: "Used",
  id,
  account,
  peer,
  expiresAt,
})
