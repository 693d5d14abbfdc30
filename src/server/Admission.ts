/**
 * Who may connect at all, and as whom.
 */
import { Context, Effect, Layer, Option, type Redacted } from "effect"
import { Unauthorized } from "../domain/Errors.ts"
import { Connected, type Peer } from "../domain/Peer.ts"
import type { Credentials } from "./PeerCredentials.ts"
import type { Allowance } from "./RateLimit.ts"
import { everything, type Rights } from "./Rights.ts"

/** A peer that was let in. */
export interface Visitor {
  /** For whom the broker works. */
  readonly peer: Peer
  /** What people call it. */
  readonly label: string
  readonly rights: Rights
  /** What it may ask for in a second, over all of its connections. */
  readonly allowance?: Allowance
  /** Calls back when it is no longer welcome; what it returns takes that back. */
  readonly whenDismissed: (leave: () => void) => () => void
}

const nothing = () => {}

/** Decides about each connection once, at its handshake. */
export class Admission extends Context.Service<
  Admission,
  {
    /** What people call those who come this way. */
    readonly label: string
    /** Whether somebody may speak at all, by the kernel's word alone. Asked before the first byte is looked at. */
    readonly hears: (credentials: Option.Option<Credentials>) => boolean
    /** The visitor to be, from what the kernel says of it and the capability it shows. */
    readonly admit: (
      credentials: Option.Option<Credentials>,
      capability: Option.Option<Redacted.Redacted>,
    ) => Effect.Effect<Visitor, Unauthorized>
  }
>()("tokenkeep/server/Admission") {
  /**
   * Only processes of the user `uid`, whatever they show, and they may do everything. Where the kernel does not say who
   * connects, the mode of the socket file has let in only that user (and root).
   */
  static readonly layerUser = (uid: number): Layer.Layer<Admission> => {
    const hears = (credentials: Option.Option<Credentials>) =>
      Option.match(credentials, { onNone: () => true, onSome: (peer) => peer.uid === uid })
    const visitor: Visitor = {
      peer: Connected({ uid, grant: "host" }),
      label: "host",
      rights: everything,
      whenDismissed: () => nothing,
    }
    return Layer.succeed(
      this,
      Admission.of({
        label: visitor.label,
        hears,
        admit: (credentials) => (hears(credentials) ? Effect.succeed(visitor) : Effect.fail(Unauthorized.make({}))),
      }),
    )
  }
}
