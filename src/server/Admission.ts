/**
 * Who may connect at all, and as whom.
 */
import { Context, Effect, Layer, Option, type Redacted } from "effect"
import { Unauthorized } from "../domain/Errors.ts"
import { Connected, type Peer } from "../domain/Peer.ts"
import type { Credentials } from "./PeerCredentials.ts"

/** Decides about each connection once, at its handshake. */
export class Admission extends Context.Service<
  Admission,
  {
    /** The peer to be, from what the kernel says of it and the capability it shows. */
    readonly admit: (
      credentials: Option.Option<Credentials>,
      capability: Option.Option<Redacted.Redacted>,
    ) => Effect.Effect<Peer, Unauthorized>
  }
>()("tokenkeep/server/Admission") {
  /**
   * Only processes of the user `uid`, whatever they show. Where the kernel does not say who connects, the mode of the
   * socket file has let in only that user (and root).
   */
  static readonly layerUser = (uid: number): Layer.Layer<Admission> =>
    Layer.succeed(
      this,
      Admission.of({
        admit: (credentials) =>
          Option.getOrElse(
            Option.map(credentials, (peer) => peer.uid),
            () => uid,
          ) === uid
            ? Effect.succeed(Connected({ uid, grant: "host" }))
            : Effect.fail(Unauthorized.make({})),
      }),
    )
}
