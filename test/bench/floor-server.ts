/**
 * The least that a server of tokens can do: take frames from a socket, look each token up in memory, and write a reply.
 * No limits, no admission, no expiry, no file.
 *
 * `node floor-server.ts PATH each|chunk DATA`: `each` writes every reply by itself, `chunk` writes the replies to one
 * chunk together. DATA is the JSON of what is known: provider, bucket and the data of the reply.
 */
import { createServer, type Socket } from "node:net"

interface Request {
  readonly id: string
  readonly op: string
  readonly payload: { readonly provider: string; readonly bucket?: string }
}

const [path = "", writes = "", known = ""] = process.argv.slice(2)
const { bucket, data, provider } = JSON.parse(known)
const tokens = new Map([[provider, new Map([[bucket, data]])]])

const headerBytes = 4
const largest = 65_536
const together = writes === "chunk"

const frameOf = (reply: object): Buffer => {
  const body = JSON.stringify(reply)
  const length = Buffer.byteLength(body)
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame.writeUInt32BE(length, 0)
  frame.write(body, headerBytes)
  return frame
}

const answerTo = ({ id, op, payload }: Request): object => {
  if (op === "handshake") return { v: 2, op, ok: true, data: { version: 2 } }
  const data = op === "get_token" ? tokens.get(payload.provider)?.get(payload.bucket ?? "default") : undefined
  return data === undefined
    ? { v: 2, id, ok: false, code: "NOT_FOUND", error: "Nobody is logged in." }
    : { v: 2, id, ok: true, data }
}

const accept = (socket: Socket) => {
  let rest: Buffer | undefined
  socket.on("error", () => {})
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    if (together) socket.cork()
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUInt32BE(at)
      if (length > largest) {
        socket.destroy()
        return
      }
      const end = at + headerBytes + length
      if (end > bytes.length) break
      socket.write(frameOf(answerTo(JSON.parse(bytes.toString("utf8", at + headerBytes, end)))))
      at = end
    }
    if (together) socket.uncork()
    rest = at === bytes.length ? undefined : bytes.subarray(at)
  })
}

createServer(accept).listen(path, () => console.log(`Listening on ${path}`))
