/**
 * Whoever connects to the socket and writes bytes: it shares no code with the server, and holds every reply against the
 * description of the wire.
 */
import { connect, type Socket } from "node:net"

/** A reply, as it came. */
export interface Reply {
  readonly [name: string]: unknown
}

/** A frame around any bytes. */
export const frame = (body: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(4)
  header.writeUInt32BE(bytes.byteLength)
  return Buffer.concat([header, bytes])
}

/** A frame around a value. */
export const frameOf = (value: unknown): Buffer => frame(JSON.stringify(value))

export const hello = frameOf({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2 } })

export const request = (id: string, op: string, payload: unknown = {}) => frameOf({ v: 2, id, op, payload })

/** A pause of so long that nobody could have been that slow. */
const patience = 10_000

/** What is promised must come in time. */
export const within = <A>(what: string, promise: Promise<A>, milliseconds = patience): Promise<A> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds)
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}

export interface RawPeer {
  readonly socket: Socket
  /** What came so far, the handshake's reply first. */
  readonly replies: ReadonlyArray<Reply>
  /** Returns when the kernel has it, or does not take it any more. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** Nothing more will be written; what comes is still read. */
  readonly finish: () => void
  /** Leaves. */
  readonly leave: () => void
  /** Returns when there are so many replies: whether they came before the connection ended. */
  readonly count: (replies: number) => Promise<boolean>
  /** The server has ended the connection, or cut it. */
  readonly ended: Promise<void>
}

/** Connects to a path, or `tcp://host:port`. With `reads: false` nothing is ever taken from the kernel. */
export const open = (path: string, { reads = true } = {}): Promise<RawPeer> => {
  const { promise, reject, resolve } = Promise.withResolvers<RawPeer>()
  const ended = Promise.withResolvers<void>()
  const replies: Array<Reply> = []
  const waiting = new Set<() => void>()
  let isOver = false
  let rest: Buffer = Buffer.alloc(0)
  const notice = () => waiting.forEach((look) => look())
  const over = () => {
    isOver = true
    ended.resolve()
    notice()
  }
  const [, host, port] = /^tcp:\/\/(.+):(\d+)$/.exec(path) ?? []
  const where = host === undefined ? { path } : { host, port: Number(port) }
  const socket = connect({ ...where, allowHalfOpen: true })
  socket.on("error", (error) => {
    reject(error)
    over()
  })
  socket.on("end", over)
  socket.on("close", over)
  if (reads) {
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      let at = 0
      while (rest.byteLength - at >= 4 && rest.byteLength - at - 4 >= rest.readUInt32BE(at)) {
        const length = rest.readUInt32BE(at)
        if (length > 65_536) throw new Error(`a reply of ${length} bytes`)
        replies.push(JSON.parse(rest.toString("utf8", at + 4, at + 4 + length)))
        at += 4 + length
      }
      rest = rest.subarray(at)
      notice()
    })
  }
  socket.once("connect", () =>
    resolve({
      socket,
      replies,
      ended: ended.promise,
      write: (bytes) => new Promise((done) => (socket.destroyed ? done() : socket.write(bytes, () => done()))),
      finish: () => void socket.end(),
      leave: () => void socket.destroy(),
      count: (wanted) =>
        new Promise((done) => {
          const look = () => {
            if (replies.length < wanted && !isOver) return
            waiting.delete(look)
            done(replies.length >= wanted)
          }
          waiting.add(look)
          look()
        }),
    }),
  )
  return promise
}

/** A peer that has shaken hands. */
export const greeted = async (path: string): Promise<RawPeer> => {
  const peer = await open(path)
  await peer.write(hello)
  if (!(await within("an answer to the handshake", peer.count(1)))) throw new Error("hung up on at the handshake")
  return peer
}

const codes = new Set(
  `INVALID_REQUEST UNAUTHORIZED FORBIDDEN NOT_FOUND PROVIDER_NOT_CONFIGURED PROVIDER_NOT_FOUND FLOW_INITIATION_FAILED
  EXCHANGE_FAILED POLL_FAILED SESSION_NOT_FOUND SESSION_ALREADY_USED SESSION_EXPIRED ACCESS_DENIED REFRESH_NOT_AVAILABLE
  REFRESH_FAILED REAUTH_REQUIRED RATE_LIMITED CANCELLED INTERNAL_ERROR UNKNOWN_VERSION`.split(/\s+/),
)

/** What of a reply the description does not allow. */
export const complaints = (reply: Reply): ReadonlyArray<string> => {
  const { code, data, error, id, ok, op, retryAfter, v, ...others } = reply
  const isHandshake = op === "handshake" && id === undefined
  const wrong: Array<string> = []
  const require = (holds: boolean, what: string) =>
    holds || wrong.push(`${what}: ${JSON.stringify(reply).slice(0, 500)}`)
  require(Object.keys(others).length === 0, "a field too many")
  require(v === 1 || v === 2, "v")
  require(isHandshake || (typeof id === "string" && op === undefined), "id")
  require(typeof ok === "boolean", "ok")
  if (ok === true) {
    require(typeof data === "object" && data !== null && !Array.isArray(data), "data")
    require(code === undefined && error === undefined && retryAfter === undefined, "both well and not")
  } else {
    require(typeof code === "string" && codes.has(code), "code")
    require(typeof error === "string" && error !== "" && error.isWellFormed() && error.length < 2000, "error")
    require(data === undefined, "both well and not")
    require(code !== "RATE_LIMITED" || (typeof retryAfter === "number" && retryAfter > 0), "retryAfter")
  }
  return wrong
}
