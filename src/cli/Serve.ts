/**
 * `serve`: listens on a socket until it is told to stop.
 */
import { Console, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Renewal } from "../broker/Renewal.ts"
import { Admission } from "../server/Admission.ts"
import { Audit } from "../server/Audit.ts"
import { PeerCredentials } from "../server/PeerCredentials.ts"
import { UnixServer } from "../server/UnixServer.ts"

export const serve = Command.make(
  "serve",
  {
    socket: Flag.String("socket").pipe(Flag.withDescription("Where to listen"), Flag.optional),
    rateLimit: Flag.Int("rate-limit").pipe(
      Flag.withDescription("Requests per second that one connection may make"),
      Flag.withDefault(60),
    ),
    audit: Flag.Literals("audit", ["on", "off", "required"]).pipe(
      Flag.withDescription("Note each request in the audit log; required: serve nothing that cannot be noted"),
      Flag.withDefault("on"),
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Say where as JSON"), Flag.withDefault(false)),
  },
  Effect.fn("serve")(function* ({ audit, json, rateLimit, socket }) {
    const { socketPath } = yield* BrokerConfig
    const server = UnixServer.layer({ path: Option.getOrElse(socket, () => socketPath), rateLimit })
    const announce = Layer.effectDiscard(
      Effect.flatMap(UnixServer, ({ path }) =>
        Console.log(json ? JSON.stringify({ version: 1, socket: path }) : `Listening on ${path}`),
      ),
    )
    return yield* Layer.launch(
      announce.pipe(
        Layer.provide(server),
        Layer.merge(Renewal.layer),
        Layer.provide(Admission.layerUser(process.getuid?.() ?? -1)),
        Layer.provide(PeerCredentials.layer),
        Layer.provide(audit === "off" ? Audit.layerOff : Audit.layerFile({ mode: audit })),
      ),
    ).pipe(
      // Being stopped is how a server ends well.
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          process.exitCode = 0
        }),
      ),
    )
  }),
).pipe(
  Command.withDescription("Hand out tokens on a socket, and renew them before they expire"),
  Command.withExamples([{ command: "tokenkeep serve --socket /run/user/1000/tokenkeep/host.sock" }]),
)
