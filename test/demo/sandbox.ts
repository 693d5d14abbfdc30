/**
 * The demo's sandbox: a process that has the path of a socket and nothing else. It speaks the wire by hand, so that
 * every byte that reaches it is seen, and reports each reply on its standard output.
 */
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { Result } from "effect"
import * as Frame from "../../src/server/Frame.ts"

const path = process.env["TOKENKEEP_SOCKET"]
if (path === undefined) throw new Error("TOKENKEEP_SOCKET is not set")

const socket = connect(path)
const decoder = new Frame.Decoder()
const waiting = new Map<unknown, (reply: Frame.JsonObject) => void>()

socket.on("data", (bytes: Buffer) => {
  for (const reply of Result.getOrThrow(decoder.push(bytes))) {
    waiting.get(reply["id"])?.(reply)
  }
})

const send = (frame: Frame.JsonObject) =>
  new Promise<Frame.JsonObject>((resolve) => {
    waiting.set(frame["id"], resolve)
    socket.write(Result.getOrThrow(Frame.encode(frame)))
  })

const goOn = createInterface(process.stdin)[Symbol.asyncIterator]()

/** Reports, and waits until whoever reads the reports has looked at it. */
const report = async (step: string, reply: Frame.JsonObject) => {
  process.stdout.write(`${JSON.stringify({ step, reply })}\n`)
  await goOn.next()
}

let lastId = 0
const ask = async (step: string, op: string, payload: Frame.JsonObject) => {
  const reply = await send({ v: 2, id: String(++lastId), op, payload })
  await report(step, reply)
  const data = reply["data"]
  return typeof data === "object" && data !== null ? new Map<string, unknown>(Object.entries(data)) : new Map()
}

await report("handshake", await send({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2 } }))

const account = { provider: "demo" }
const login = await ask("login", "oauth_initiate", account)
let status: unknown = "pending"
while (status === "pending") {
  const progress = await ask("poll", "oauth_poll", { session_id: login.get("session_id") })
  status = progress.get("status")
  if (status === "pending") await new Promise((resolve) => setTimeout(resolve, 500))
}
await ask("token", "get_token", account)
await ask("refresh", "refresh_token", account)
await ask("logout", "remove_token", account)
await ask("after", "get_token", account)
socket.end()
process.exit()
