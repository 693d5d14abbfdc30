/**
 * Follows the events of all processes of this user that share the folders: listens at a socket of its own in the events
 * folder, which those processes find. See `broker/EventRelay`, the other end.
 */
import { createServer, type Server, type Socket } from "node:net"
import { Effect, Option, Path } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { relayed } from "../broker/AuthEvents.ts"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { type Follower, nameOf } from "../broker/FollowerName.ts"
import { type AuthEvent, fromJson } from "../domain/AuthEvent.ts"
import * as SocketPath from "./SocketPath.ts"

/** The longest event there is has two names of 200 characters in it. */
const longestLine = 8192

/** More processes than anybody has; each costs a descriptor. */
const maximumConnections = 1024

/** As many bytes as the shortest `sun_path` takes. */
const longestPath = 103

/** Takes the lines that come. Whoever sends something else is not one of ours. */
const take = (socket: Socket, tell: (event: AuthEvent) => void): void => {
  let rest = ""
  socket
    .setEncoding("latin1")
    .on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) Option.map(fromJson(line), tell)
      if (rest.length > longestLine) socket.destroy()
    })
    // The end of the connection follows.
    .on("error", () => {})
}

/** Events from now on, for as long as the scope is open. A process that runs already is heard after a second. */
export const follow = Effect.fnUntraced(function* (wanted: Follower) {
  const { eventsDirectory } = yield* BrokerConfig
  const paths = yield* Path.Path
  const random = yield* SecureRandom.SecureRandom
  const path = paths.resolve(eventsDirectory, nameOf(wanted, Hex.encode(yield* random.randomBytes(8))))
  if (Buffer.byteLength(path) > longestPath) {
    const why = `the path is longer than ${longestPath} bytes; give TOKENKEEP_HOME a shorter one, wherever tokenkeep runs`
    return yield* new SocketPath.SocketUnavailable({ path, why })
  }
  const hub = yield* relayed
  const stream = yield* hub.subscribe()
  yield* SocketPath.claim(path)
  yield* listen(path, hub.pass)
  return stream
})

const listen = (path: string, tell: (event: AuthEvent) => void) =>
  Effect.acquireRelease(
    Effect.callback<Listening, SocketPath.SocketUnavailable>((resume) => {
      const open = new Set<Socket>()
      const server = createServer((socket) => {
        open.add(socket)
        socket.once("close", () => open.delete(socket))
        take(socket, tell)
      })
      server.maxConnections = maximumConnections
      server.once("error", ({ message }) =>
        resume(Effect.fail(new SocketPath.SocketUnavailable({ path, why: message }))),
      )
      server.once("listening", () => resume(Effect.succeed({ server, open })))
      SocketPath.bind(server, { path, forOthers: false })
    }),
    ({ open, server }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of open) socket.destroy()
      }),
  )

interface Listening {
  readonly server: Server
  readonly open: ReadonlySet<Socket>
}
