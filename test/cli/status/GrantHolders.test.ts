/**
 * Who was granted what, where nobody can say.
 */
import { renameSync, writeFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option } from "effect"
import { BrokerConfig } from "../../../src/broker/BrokerConfig.ts"
import { GrantHolders } from "../../../src/cli/status/GrantHolders.ts"
import * as TemporaryHome from "../../support/TemporaryHome.ts"

const ask = (home: string) =>
  Effect.flatten(GrantHolders).pipe(
    Effect.provide(GrantHolders.layer.pipe(Layer.provide(BrokerConfig.layer(home)), Layer.provide(NodeServices.layer))),
    Effect.timed,
  )

/** Takes connections, and says nothing. */
const mute = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly sockets: Set<Socket> }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => void sockets.add(socket))
      server.listen(path, () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.callback<void>((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      }),
  )

describe("the holders of grants", () => {
  it.live("are not known, without a delay, where no host runs, and soon where one does not answer", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const socket = `${home}/host.sock`
      const none = Effect.fnUntraced(function* (limit: Duration.Input) {
        const [took, grants] = yield* ask(home)
        assert.isTrue(Option.isNone(grants))
        assert.isTrue(Duration.isLessThan(took, Duration.fromInputUnsafe(limit)), String(took))
      })
      yield* none("900 millis")
      writeFileSync(socket, "")
      yield* none("900 millis")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* mute(`${home}/mute.sock`)
          renameSync(`${home}/mute.sock`, socket)
          yield* none("5 seconds")
        }),
      )
      // Now nobody listens there any more.
      yield* none("900 millis")
    }),
  )
})
