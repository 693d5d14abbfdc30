import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Option } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import { Unauthorized } from "../../src/domain/Errors.ts"
import { Connected } from "../../src/domain/Peer.ts"
import { Admission } from "../../src/server/Admission.ts"
import { Audit } from "../../src/server/Audit.ts"
import { type Credentials, PeerCredentials } from "../../src/server/PeerCredentials.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const nobody = Layer.mock(Broker, {})
const admission = Layer.succeed(
  Admission,
  Admission.of({ label: "nobody", hears: () => true, admit: () => Effect.fail(Unauthorized.make({})) }),
)

const serve = (path: string, admitting: Layer.Layer<Admission> = admission) =>
  Layer.build(
    Layer.fresh(UnixServer.layer({ path })).pipe(
      Layer.provide([nobody, admitting, Audit.layerOff, PeerCredentials.layer, NodeServices.layer]),
    ),
  )

const refusal = (path: string) =>
  serve(path).pipe(
    Effect.flip,
    Effect.map((error) => error.message),
    Effect.scoped,
  )

describe("the socket", () => {
  it.live("is 0600 in a folder that is 0700, whatever the umask, and gone when the server ends", () =>
    Effect.gen(function* () {
      const path = `${yield* TemporaryHome.make}/run/deep/host.sock`
      const umask = process.umask(0)
      yield* Effect.gen(function* () {
        yield* serve(path)
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.strictEqual(statSync(`${path}/..`.replace("host.sock/..", "")).mode & 0o777, 0o700)
        assert.strictEqual(process.umask(), 0)
      }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(() => process.umask(umask))))
      assert.isFalse(existsSync(path))
    }),
  )

  it.live("is not made in a folder that others may enter, or that is a link", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      mkdirSync(`${home}/open`)
      chmodSync(`${home}/open`, 0o755)
      assert.include(yield* refusal(`${home}/open/host.sock`), "choose one of its own")
      assert.strictEqual(statSync(`${home}/open`).mode & 0o777, 0o755)
      mkdirSync(`${home}/real`, { mode: 0o700 })
      symlinkSync(`${home}/real`, `${home}/link`)
      assert.include(yield* refusal(`${home}/link/host.sock`), "not a real folder")
    }),
  )

  it.live("is not made where something else is, and what is there is left alone", () =>
    Effect.gen(function* () {
      const path = `${yield* TemporaryHome.make}/host.sock`
      writeFileSync(path, "precious")
      assert.include(yield* refusal(path), "not a socket")
      assert.isTrue(lstatSync(path).isFile())
    }),
  )

  it.live("is not taken from a server that is alive, but from a dead one", () =>
    Effect.gen(function* () {
      const path = `${yield* TemporaryHome.make}/host.sock`
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* serve(path)
          assert.include(yield* refusal(path), "another tokenkeep")
        }),
      )
      const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
      spawnSync(process.execPath, ["-e", script])
      assert.isTrue(lstatSync(path).isSocket())
      yield* Effect.scoped(serve(path))
    }),
  )

  it.live("has a path that fits into the kernel's, or says so", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      assert.include(yield* refusal(`${home}/${"x".repeat(120)}.sock`), "--socket")
    }),
  )

  it.live("lets a shutdown end in time although a peer never reads or leaves", () =>
    Effect.gen(function* () {
      const path = `${yield* TemporaryHome.make}/host.sock`
      const stuck = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* serve(path)
          return yield* Effect.callback<Socket>((resume) => {
            const socket = connect({ path, allowHalfOpen: true }, () => resume(Effect.succeed(socket)))
            socket.on("error", () => {}).pause()
          })
        }),
      ).pipe(Effect.timeout("8 seconds"))
      stuck.destroy()
    }),
  )
})

describe("peer credentials", () => {
  it.live("are the kernel's word on who connected", () =>
    Effect.gen(function* () {
      const path = `${yield* TemporaryHome.make}/raw.sock`
      const peers = yield* PeerCredentials
      const found = yield* Deferred.make<Option.Option<Credentials>>()
      const run = Effect.runForkWith(yield* Effect.context<never>())
      const server = createServer((socket) => {
        run(Deferred.succeed(found, peers.of(socket)))
        socket.destroy()
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void)))
      connect(path).on("error", () => {})
      const credentials = Option.getOrThrow(yield* Deferred.await(found))
      assert.strictEqual(credentials.uid, process.getuid?.())
      assert.strictEqual(credentials.gid, process.getgid?.())
      if (process.platform === "linux") assert.deepStrictEqual(credentials.pid, Option.some(process.pid))
    }).pipe(Effect.provide(PeerCredentials.layer)),
  )

  it.effect(
    "decide who may connect: only the one user, and where the kernel says nothing, whom the file mode let in",
    () =>
      Effect.gen(function* () {
        const { admit } = yield* Admission
        const from = (uid: number) => Option.some({ uid, gid: uid, pid: Option.none() })
        assert.deepStrictEqual((yield* admit(from(1000), Option.none())).peer, Connected({ uid: 1000, grant: "host" }))
        assert.deepStrictEqual(
          (yield* admit(Option.none(), Option.none())).peer,
          Connected({ uid: 1000, grant: "host" }),
        )
        for (const uid of [0, 1001]) {
          assert.strictEqual((yield* Effect.flip(admit(from(uid), Option.none())))._tag, "Unauthorized")
        }
      }).pipe(Effect.provide(Admission.layerUser(1000))),
  )
})
