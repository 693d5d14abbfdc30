/**
 * The sockets: where the host listens or would, and where this environment says that a host is.
 */
import { Config, Duration, Effect, FileSystem, Option, Path } from "effect"
import { Broker } from "../../broker/Broker.ts"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import * as BrokerClient from "../../client/BrokerClient.ts"
import * as BrokerClientEnv from "../../client/BrokerClientEnv.ts"
import { oneLine } from "../../domain/RemoteText.ts"
import * as SocketPath from "../../server/SocketPath.ts"
import { moveAwayCommand, quoted, withoutCommand } from "../NextCommand.ts"
import { type Finding, ok, problem, warning } from "./Finding.ts"

const patience = Duration.seconds(3)

const check = "socket"

/** What `serve` would have against the place, in its own words. */
const place = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const elsewhere = 'tokenkeep serve --socket "/tmp/tokenkeep-$(id -u)/host.sock"'
  const bytes = Buffer.byteLength(path)
  if (bytes > SocketPath.longestPath) {
    return [
      problem(
        check,
        `${oneLine(path)} has ${bytes} bytes, and a socket's path no more than ${SocketPath.longestPath}: tokenkeep serve cannot listen there. What is kept is safe; let it listen elsewhere:`,
        elsewhere,
      ),
    ]
  }
  const folder = paths.dirname(path)
  // As serve makes it for a grant.
  const ofGrant = paths.join(folder, "sandboxes", "01234567", "broker.sock")
  const long =
    Buffer.byteLength(ofGrant) > SocketPath.longestPath
      ? [
          warning(
            check,
            `${oneLine(folder)} has so long a path that there is no room in it for the sockets of grants and of tokenkeep exec. Let the server listen elsewhere:`,
            elsewhere,
          ),
        ]
      : []
  if (!(yield* Effect.orElseSucceed(fs.exists(folder), () => false))) return long
  const trouble = yield* SocketPath.checkFolder(path).pipe(
    Effect.as([]),
    Effect.catch(({ message }) => {
      const isOpen = message.includes("others may enter its folder")
      return Effect.succeed([
        problem(check, `${message} What is kept is safe.`, isOpen ? `chmod 700 ${quoted(folder)}` : elsewhere),
      ])
    }),
  )
  return [...long, ...trouble]
})

/** Where a path leads to, if to anybody. */
const listener = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const there = yield* Effect.option(fs.stat(path))
  if (Option.isNone(there)) return "nothing"
  if (there.value.type !== "Socket") return "no socket"
  return yield* SocketPath.isAlive(path).pipe(
    Effect.map((isAlive) => (isAlive ? "alive" : "dead")),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed("hung" as const) }),
  )
})

/** Where the host of this machine listens, or would. */
export const host = Effect.gen(function* () {
  const { socketPath } = yield* BrokerConfig
  const shown = oneLine(socketPath)
  const trouble = yield* place(socketPath)
  const found = trouble.some(({ message }) => message.includes("bytes")) ? "nothing" : yield* listener(socketPath)
  const there: { readonly [found in typeof found]: ReadonlyArray<Finding> } = {
    nothing: trouble.length > 0 ? [] : [ok(check, "no tokenkeep serve runs, and nothing is in its way")],
    "no socket": [
      problem(
        check,
        `Something that is no socket is at ${shown}: tokenkeep serve cannot listen there.`,
        moveAwayCommand(socketPath),
      ),
    ],
    alive: [ok(check, `tokenkeep serve answers at ${shown}`)],
    dead: [
      warning(
        check,
        `Nobody answers at ${shown}: a server that was killed has left it. The next tokenkeep serve removes it; until then programs find nobody there.`,
        `rm ${quoted(socketPath)}`,
      ),
    ],
    hung: [
      problem(
        check,
        `Whoever listens at ${shown} takes no connections. Look for a stopped tokenkeep serve.`,
        // By what it was called with: Node itself has other names to the kernel.
        "ps -eo pid,stat,args | grep '[t]okenkeep'",
      ),
    ],
  }
  return [...trouble, ...there[found]]
})

/** Where the environment says that a host is; nothing if it does not. */
export const named = Effect.gen(function* () {
  const path = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
  if (Option.isNone(path)) return []
  const options = yield* BrokerClientEnv.host
  if (Option.isNone(options)) return []
  const answer = yield* Effect.flatMap(Broker, (broker) => broker.listProviders).pipe(
    Effect.provide(BrokerClient.layer(options.value)),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.fail({ message: "There was no answer within 3 s." }),
    }),
    Effect.result,
  )
  const shown = oneLine(path.value)
  return [
    answer._tag === "Success"
      ? ok("environment", `TOKENKEEP_SOCKET leads to a host, at ${shown}`)
      : problem(
          "environment",
          `TOKENKEEP_SOCKET is ${shown}, which is no use. ${withoutCommand(answer.failure.message, "tokenkeep serve")} The logins on this machine are safe; to use them directly:`,
          "unset TOKENKEEP_SOCKET",
        ),
  ]
}).pipe(
  // The capability cannot be read.
  Effect.catch((error) =>
    Effect.succeed([problem("environment", error.message, "unset TOKENKEEP_SOCKET TOKENKEEP_CAPABILITY_FD")]),
  ),
)
