/**
 * Who is at the other end of a connection, by the kernel's word.
 *
 * Node has no call for it, so `getsockopt(SO_PEERCRED)` (Linux, unix(7)) and `getpeereid` (macOS, getpeereid(3)) are
 * called through koffi, on the descriptor of the accepted socket. The kernel noted the credentials when the peer
 * connected; nothing that the peer sends can change them.
 */
import type { Socket } from "node:net"
import { Context, Effect, Layer, Option, Schema } from "effect"
import * as CLibrary from "../system/CLibrary.ts"

/** A process, as the kernel knows it. The pid is for the log: it can be reused. */
export interface Credentials {
  readonly uid: number
  readonly gid: number
  readonly pid: Option.Option<number>
}

/** Asks the kernel who connected. */
export class PeerCredentials extends Context.Service<
  PeerCredentials,
  {
    /** None where the kernel does not tell. */
    readonly of: (socket: Socket) => Option.Option<Credentials>
  }
>()("tokenkeep/server/PeerCredentials") {
  /** By the means of this operating system. Where there is none, says so loudly once. */
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const ask = yield* askKernel(process.platform)
      return PeerCredentials.of({
        of: (socket) => Option.flatMap(decodeHandle(socket), ({ _handle }) => ask(_handle.fd)),
      })
    }),
  )
}

type Ask = (descriptor: number) => Option.Option<Credentials>

const decodeHandle = Schema.decodeUnknownOption(Schema.Struct({ _handle: Schema.Struct({ fd: Schema.Int }) }))

const askKernel = Effect.fnUntraced(function* (platform: NodeJS.Platform): Effect.fn.Return<Ask> {
  if (platform === "linux") return yield* linux
  if (platform === "darwin") return yield* macos
  yield* Effect.logWarning(
    "This operating system does not say who connects to a socket. Only the mode of the socket file keeps others out.",
  )
  return () => Option.none()
})

// <asm-generic/socket.h>; the same on every architecture that Node runs on.
const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** `(uid_t) -1`, which is nobody's. */
const noUid = 0xffff_ffff

const linux = Effect.map(CLibrary.open, ({ library }): Ask => {
  const getsockopt = library.func(
    "int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)",
  )
  return (descriptor) => {
    // struct ucred: pid, uid, gid, 32 bits each.
    const ucred = Buffer.alloc(12)
    const length = [ucred.byteLength]
    // A socket that is not of this machine alone, as of TCP, has no peer that the kernel could name.
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, ucred, length) === 0 && ucred.readUInt32LE(4) !== noUid
      ? Option.some({
          pid: Option.some(ucred.readInt32LE(0)),
          uid: ucred.readUInt32LE(4),
          gid: ucred.readUInt32LE(8),
        })
      : Option.none()
  }
})

const macos = Effect.map(CLibrary.open, ({ library }): Ask => {
  const getpeereid = library.func("int getpeereid(int fd, _Out_ uint32_t *uid, _Out_ uint32_t *gid)")
  return (descriptor) => {
    const uid = [0]
    const gid = [0]
    return getpeereid(descriptor, uid, gid) === 0
      ? Option.some({ pid: Option.none(), uid: uid[0] ?? -1, gid: gid[0] ?? -1 })
      : Option.none()
  }
})
