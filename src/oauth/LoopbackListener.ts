/**
 * A web server on this machine only, for the few minutes in which a browser may bring the answer to a login.
 */
import { Context, Data, Effect, Layer, type Scope } from "effect"
import type { Outcome } from "./CallbackPage.ts"

/** A request to the listener: only what decides about it. */
export interface Visit {
  readonly method: string
  readonly host: string | undefined
  readonly origin: string | undefined
  /** Path and query as sent. */
  readonly target: string
}

/** None of the ports could be had. */
export class PortsTaken extends Data.TaggedError("PortsTaken")<{ readonly ports: ReadonlyArray<number> }> {
  override get message(): string {
    return this.ports.length === 0
      ? "No port could be opened on 127.0.0.1."
      : `None of the ports ${this.ports.join(", ")} on 127.0.0.1 is free, and the provider takes no other. Close what holds them, and try again.`
  }
}

/** Opens web servers on 127.0.0.1. */
export class LoopbackListener extends Context.Service<
  LoopbackListener,
  {
    /** Listens on the first free one of `ports`, or on any free port if there are none, until the scope closes. */
    readonly listen: (
      ports: ReadonlyArray<number>,
      answer: (visit: Visit) => Effect.Effect<Outcome>,
    ) => Effect.Effect<number, PortsTaken, Scope.Scope>
  }
>()("tokenkeep/oauth/LoopbackListener") {
  /** Over Node's web server, which is loaded when it is first needed: most processes never log anybody in. */
  static readonly layerNode: Layer.Layer<LoopbackListener> = Layer.succeed(
    this,
    LoopbackListener.of({
      listen: (ports, answer) =>
        Effect.flatMap(
          Effect.promise(() => import("./LoopbackListenerNode.ts")),
          ({ listen }) => listen(ports, answer),
        ),
    }),
  )
}
