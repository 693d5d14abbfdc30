/**
 * A process that asks servers for tokens as fast as they answer, and does as little as it can beside: requests are made
 * beforehand, and of a reply that looks like the ones before only the id and `ok` are read. Takes an {@link Order} per
 * message of its parent, and answers each with a {@link Measured} or a {@link Held}.
 */
import { connect, type Socket } from "node:net"
import { performance } from "node:perf_hooks"

export interface Account {
  readonly provider: string
  readonly bucket: string
}

export type Order =
  | {
      readonly kind: "load"
      readonly path: string
      readonly account: Account
      /** What a right reply holds. */
      readonly accessToken: string
      readonly connections: number
      /** Requests under way on each connection. */
      readonly inFlight: number
      readonly warmUp: number
      readonly duration: number
    }
  /** Opens connections that say no more than the handshake, and keeps them until the next order. */
  | { readonly kind: "hold"; readonly path: string; readonly connections: number }

export interface Measured {
  readonly perSecond: number
  /** All replies, those of the warm-up included. */
  readonly replies: number
  /** Of one request, in microseconds; only where one is under way at a time. */
  readonly latency: { readonly p50: number; readonly p99: number }
  /** Replies that were not as they must be. */
  readonly wrong: number
  /** The share of the time in which this process was not waiting. */
  readonly busy: number
}

/** How many of the connections were answered. */
export interface Held {
  readonly open: number
}

const headerBytes = 4
const largestChunk = 65_536

export const frameOf = (value: object): Buffer => {
  const body = Buffer.from(JSON.stringify(value))
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

const handshake = frameOf({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2 } })

/** Takes the body of one reply: where it begins and ends in these bytes. */
type Take = (bytes: Buffer, begin: number, end: number) => void

/** Opens a connection and waits for the answer to its handshake. After each later chunk, `chunkTaken` is called. */
export const open = async (path: string, take: Take, chunkTaken: () => void): Promise<Socket> => {
  const held = Buffer.allocUnsafe(4 * largestChunk)
  let heldBytes = 0
  let greeted = false
  const { promise, reject, resolve } = Promise.withResolvers<void>()

  const greet: Take = (bytes, begin, end) => {
    greeted = true
    if (JSON.parse(bytes.toString("utf8", begin, end)).ok === true) resolve()
    else reject(new Error("the handshake was refused"))
  }

  /** Takes all whole frames, and returns where the rest begins. */
  const takeAll = (bytes: Buffer, end: number): number => {
    let at = 0
    while (end - at >= headerBytes) {
      const next = at + headerBytes + bytes.readUInt32BE(at)
      if (next > end) break
      if (greeted) take(bytes, at + headerBytes, next)
      else greet(bytes, at + headerBytes, next)
      at = next
    }
    return at
  }

  const socket = connect({
    path,
    onread: {
      // One buffer for all chunks of the connection: reading makes no garbage.
      buffer: Buffer.allocUnsafe(largestChunk),
      callback: (length, chunk) => {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, length)
        const wasGreeted = greeted
        if (heldBytes === 0) {
          const rest = takeAll(bytes, length)
          if (rest < length) heldBytes = bytes.copy(held, 0, rest)
        } else {
          heldBytes += bytes.copy(held, heldBytes)
          const rest = takeAll(held, heldBytes)
          held.copyWithin(0, rest, heldBytes)
          heldBytes -= rest
        }
        if (wasGreeted) chunkTaken()
        return true
      },
    },
  })
  socket.on("error", () => {})
  socket.once("close", () => reject(new Error("the connection was closed")))
  socket.write(handshake)
  await promise
  return socket
}

/** Requests of one size, one after the other, each with an id of its own. */
const idDigits = 4
const firstId = 1_000
const requestCount = 1_000

/** Every so many replies, one is read as a whole. */
const sampling = 101

interface Counters {
  replies: number
  wrong: number
}

type Load = Extract<Order, { readonly kind: "load" }>

const requestsFor = (account: Account): Buffer =>
  Buffer.concat(
    Array.from({ length: requestCount }, (_, index) =>
      frameOf({ v: 2, id: String(firstId + index), op: "get_token", payload: account }),
    ),
  )

/** Opens a connection that keeps so many requests under way, from when it is started. */
const openLoad = async ({ accessToken, account, inFlight, path }: Load, counters: Counters, latency: Float64Array) => {
  const requests = requestsFor(account)
  const requestBytes = requests.length / requestCount
  const outstanding = new Uint8Array(requestCount)
  let next = 0
  let answered = 0
  let sentAt = 0

  // Where a reply has its id and its `ok`, as learned from one that was read as a whole.
  let idAt = 0
  let okAt = 0
  let replyBytes = -1

  const settle = (index: number, isRight: boolean) => {
    if (!isRight || outstanding[index] !== 1) counters.wrong++
    outstanding[index] = 0
    answered++
    counters.replies++
  }

  const readWhole: Take = (bytes, begin, end) => {
    const text = bytes.toString("utf8", begin, end)
    const { data, id, ok } = JSON.parse(text)
    settle(Number(id) - firstId, ok === true && data.access_token === accessToken)
    idAt = text.indexOf(`"id":"${id}"`) + '"id":"'.length
    okAt = text.indexOf('"ok":true') + '"ok":'.length
    replyBytes = end - begin
  }

  const take: Take = (bytes, begin, end) => {
    if (end - begin !== replyBytes || counters.replies % sampling === 0) return readWhole(bytes, begin, end)
    let id = 0
    for (let at = begin + idAt; at < begin + idAt + idDigits; at++) id = id * 10 + (bytes[at] ?? 0) - 0x30
    return settle(id - firstId, bytes[begin + okAt] === 0x74)
  }

  const ask = (count: number) => {
    const last = Math.min(requestCount, next + count)
    outstanding.fill(1, next, last)
    socket.write(requests.subarray(next * requestBytes, last * requestBytes))
    const asked = last - next
    next = last % requestCount
    if (asked < count) ask(count - asked)
  }

  const socket = await open(path, take, () => {
    if (answered === 0) return
    const now = performance.now()
    if (inFlight === 1) latency[counters.replies % latency.length] = now - sentAt
    const count = answered
    answered = 0
    sentAt = now
    ask(count)
  })
  return {
    start: () => {
      sentAt = performance.now()
      ask(inFlight)
    },
    close: () => socket.destroy(),
    /** Whether the server is still there. */
    isOpen: () => !socket.destroyed,
  }
}

const passed = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const measure = async (order: Load): Promise<Measured> => {
  const counters: Counters = { replies: 0, wrong: 0 }
  const latency = new Float64Array(1 << 20)
  const connections = await Promise.all(
    Array.from({ length: order.connections }, () => openLoad(order, counters, latency)),
  )
  for (const connection of connections) connection.start()
  await passed(order.warmUp)
  const before = counters.replies
  const begun = performance.now()
  const loop = performance.eventLoopUtilization()
  await passed(order.duration)
  const count = counters.replies - before
  const took = performance.now() - begun
  const { utilization } = performance.eventLoopUtilization(loop)
  const lost = connections.filter((connection) => !connection.isOpen()).length
  for (const connection of connections) connection.close()
  const times = latency.slice(before + 1, before + 1 + Math.min(count, latency.length - before - 1)).toSorted()
  const microseconds = (share: number) => (times[Math.floor(times.length * share)] ?? 0) * 1_000
  return {
    perSecond: (count / took) * 1_000,
    replies: counters.replies,
    latency: { p50: microseconds(0.5), p99: microseconds(0.99) },
    wrong: counters.wrong + lost,
    busy: utilization,
  }
}

/** No more of them at once than the kernel lets wait for a server. */
const openedAtOnce = 64

let holding: ReadonlyArray<Socket> = []

const hold = async (path: string, connections: number): Promise<Held> => {
  const sockets: Array<Socket> = []
  for (let left = connections; left > 0; left -= openedAtOnce) {
    const opening = Array.from({ length: Math.min(left, openedAtOnce) }, () =>
      open(
        path,
        () => {},
        () => {},
      ),
    )
    for (const opened of await Promise.allSettled(opening)) {
      if (opened.status === "fulfilled") sockets.push(opened.value)
    }
  }
  holding = sockets
  return { open: sockets.length }
}

const obey = (order: Order): Promise<Measured | Held> => {
  for (const socket of holding) socket.destroy()
  holding = []
  return order.kind === "load" ? measure(order) : hold(order.path, order.connections)
}

if (import.meta.main) {
  process.on("message", (order: Order) => {
    obey(order).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}
