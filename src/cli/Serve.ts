/**
 * `serve`: listens on a socket until it is told to stop, with a socket for each grant, and renews what is to be renewed.
 */
import { Console, Effect, Layer, Option, Path } from "effect"
import { Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { ascii } from "../domain/AsciiJson.ts"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Renewal } from "../broker/Renewal.ts"
import { Admission } from "../server/Admission.ts"
import { Audit } from "../server/Audit.ts"
import * as GrantOperations from "../server/GrantOperations.ts"
import * as GrantsHost from "../server/GrantsHost.ts"
import { PeerCredentials } from "../server/PeerCredentials.ts"
import { Questions } from "../server/Questions.ts"
import * as Systemd from "../server/Systemd.ts"
import { UnixServer } from "../server/UnixServer.ts"
import * as Ownership from "../system/Ownership.ts"
import * as GrantQuestions from "./GrantQuestions.ts"
import { Json } from "./GlobalFlags.ts"
import { HostAndPort } from "./HostAndPort.ts"
import { UsageError } from "./UsageError.ts"

export const serve = Command.make(
  "serve",
  {
    socket: Flag.String("socket").pipe(Flag.withDescription("Where to listen"), Flag.optional),
    tcp: Flag.String("tcp").pipe(
      Flag.withDescription("A port for grants made with --tcp, where no socket can go: [ADDRESS:]PORT, 0 for any port"),
      Flag.withSchema(HostAndPort),
      Flag.optional,
    ),
    ask: Flag.Boolean("ask").pipe(
      Flag.withDescription("Let a request that is not granted wait for you to answer: here, or with tokenkeep approve"),
      Flag.withDefault(false),
    ),
    rateLimit: Flag.Int("rate-limit").pipe(
      Flag.withDescription("Requests per second that one connection may make; 0 for any number"),
      Flag.filter(
        (perSecond) => perSecond >= 0,
        () => "a number that is not below 0",
      ),
      Flag.withDefault(60),
    ),
    audit: Flag.Literals("audit", ["on", "off", "required"]).pipe(
      Flag.withDescription("Note each request in the audit log; required: serve nothing that cannot be noted"),
      Flag.withDefault("on"),
    ),
  },
  Effect.fn("serve")(function* ({ ask, audit, rateLimit, socket, tcp }) {
    const { socketPath } = yield* BrokerConfig
    const paths = yield* Path.Path
    const json = yield* Json
    const systemd = yield* Systemd.take
    if (Option.isSome(systemd.inherited) && Option.isSome(socket)) {
      return yield* new UsageError({ detail: "systemd has opened the socket; start without --socket." })
    }
    const path = Option.match(systemd.inherited, {
      onNone: () => paths.resolve(Option.getOrElse(socket, () => socketPath)),
      onSome: (inherited) => inherited.path,
    })
    const uid = Ownership.uid()

    const grants = GrantsHost.layer({
      folder: paths.join(paths.dirname(path), "sandboxes"),
      uid,
      rateLimit,
      ...(Option.isSome(tcp) && { tcp: tcp.value }),
    })
    const asking = ask
      ? Layer.effectDiscard(
          GrantQuestions.run.pipe(
            // As if the terminal had said so itself.
            Effect.catchTag("ServerStopped", () => Effect.sync(() => process.kill(process.pid, "SIGINT"))),
            Effect.forkScoped,
          ),
        ).pipe(Layer.provideMerge(Questions.layer))
      : Questions.layerOff

    const host = Layer.unwrap(
      Effect.map(GrantOperations.make, (operations) =>
        UnixServer.layer({
          path,
          rateLimit,
          operations,
          ...(Option.isSome(systemd.inherited) && { inherited: systemd.inherited.value.descriptor }),
        }),
      ),
    ).pipe(Layer.provide(Admission.layerUser(uid)), Layer.provideMerge(grants), Layer.provide(asking))

    const announce = Layer.effectDiscard(
      Effect.gen(function* () {
        const server = yield* UnixServer
        yield* Console.log(json ? ascii({ version: 1, socket: server.path }) : `Listening on ${server.path}`)
        yield* Effect.acquireRelease(systemd.notify("READY=1"), () => systemd.notify("STOPPING=1"))
      }),
    )
    return yield* Layer.launch(
      announce.pipe(
        Layer.provide(host),
        Layer.merge(Renewal.layer),
        Layer.provide([
          PeerCredentials.layer,
          SecureRandom.layerWebCrypto,
          audit === "off" ? Audit.layerOff : Audit.layerFile({ mode: audit }),
        ]),
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
