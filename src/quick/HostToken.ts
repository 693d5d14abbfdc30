/**
 * A token from a host, over one connection for one request: as {@link HostConnection} asks for it. Whatever the host says
 * instead is left to the whole program, which does not ask again.
 */
import { contentOf, endpointOf, isCapability, isFile, isOfTrusted } from "../client/Endpoint.ts"
import * as Handover from "../client/Handover.ts"
import { reservedFields } from "../domain/ReservedFields.ts"
import type { Handout } from "../helpers/Handout.ts"
import { encodeTexts } from "../server/FrameBytes.ts"
import { frameTimeLimit, never, requestTimeLimit, versions } from "../server/WireLimits.ts"
import * as Frames from "./Frames.ts"
import { isMaybe, isObject, isString, isText, type JsonObject } from "./Json.ts"
import type { Environment } from "./Places.ts"
import { scopesIn } from "../domain/ScopeText.ts"
import type { Wish } from "./Wish.ts"

/** What is to be shown; undefined if that is not a plain thing to say. */
const capabilityIn = (env: Environment): { readonly shown?: string } | undefined => {
  const { TOKENKEEP_CAPABILITY: capability, TOKENKEEP_CAPABILITY_FD: descriptor } = env
  if (descriptor === undefined) return capability === undefined || capability === "" ? {} : { shown: capability }
  // What is no file could be read once only.
  if (!/^\d{1,4}$/.test(descriptor) || !isFile(Number(descriptor))) return undefined
  const shown = contentOf(Number(descriptor))
  return isCapability(shown) ? { shown } : undefined
}

const isReply = (frame: JsonObject, id: string): boolean =>
  frame["id"] === id &&
  (frame["ok"] === true
    ? isObject(frame["data"])
    : frame["ok"] === false &&
      isString(frame["code"]) &&
      isString(frame["error"]) &&
      isMaybe(frame["retryAfter"], Number.isFinite))

interface Request {
  readonly path: string
  readonly capability: string | undefined
  readonly provider: string
  readonly bucket: string
}

/** What is waited for. */
interface Stage {
  readonly onFrame: (frame: JsonObject) => void
  readonly ifEnded: Handover.Outcome | undefined
  readonly ifLate: Handover.Outcome | undefined
}

const opening: Stage = { onFrame: () => {}, ifEnded: undefined, ifLate: undefined }

const silent: Handover.Outcome = { _tag: "Greeted", greeting: undefined }

const id = "1"

/** Asks once. Undefined if nothing was asked, because nobody was reached. */
const ask = ({ bucket, capability, path, provider }: Request): Promise<Handover.Outcome | undefined> => {
  const { promise, resolve } = Promise.withResolvers<Handover.Outcome | undefined>()
  // Loaded here, as nothing else needs it.
  const { connect } = process.getBuiltinModule("node:net")
  const socket = connect({ ...endpointOf(path), noDelay: true })
  const settle = (outcome: Handover.Outcome | undefined) => {
    socket.destroy()
    resolve(outcome)
  }
  let stage = opening
  const enter = (next: Stage, limit: number) => {
    stage = next
    // It keeps no process alive.
    AbortSignal.timeout(limit).addEventListener("abort", () => {
      if (stage === next) settle(next.ifLate)
    })
  }
  const send = (frame: JsonObject) => socket.write(encodeTexts([JSON.stringify(frame)]))

  const waitForReply = () =>
    enter(
      {
        onFrame: (frame) => {
          if (isReply(frame, id)) settle({ _tag: "Replied", reply: frame })
        },
        ifEnded: { _tag: "Lost" },
        ifLate: { _tag: "Late" },
      },
      requestTimeLimit,
    )
  const greet: Stage = {
    onFrame: (frame) => {
      const { ok, op, v } = frame
      const isSpoken = versions.some((version) => version === v)
      if (op !== "handshake" || ok !== true || !isSpoken) return settle({ _tag: "Greeted", greeting: frame })
      waitForReply()
      return void send({ v, id, op: "get_token", payload: { provider, bucket } })
    },
    ifEnded: silent,
    ifLate: silent,
  }

  let received: Buffer = Buffer.alloc(0)
  /** Goes through what has come. What is no frame ends the connection. */
  const read = (): Promise<void> =>
    Promise.resolve(received)
      .then(Frames.first)
      .then(
        (found) => {
          if (found === undefined || socket.destroyed) return undefined
          received = found.rest
          stage.onFrame(found.frame)
          return read()
        },
        () => settle(stage.ifEnded),
      )

  let reading = Promise.resolve()
  enter(opening, frameTimeLimit)
  socket
    .on("connect", () => {
      enter(greet, frameTimeLimit)
      const shown = capability === undefined ? {} : { capabilityToken: capability }
      send({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2, ...shown } })
    })
    .on("data", (chunk: Buffer) => {
      reading = reading.then(() => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
        return read()
      })
    })
    .on("error", () => {})
    .on("close", () => {
      // What came before the end counts.
      void reading.then(() => settle(stage.ifEnded))
    })
  return promise
}

/** The token in the data of a reply, if it is one. */
const tokenIn = (data: unknown, wish: Wish): Handout | undefined => {
  if (!isObject(data)) return undefined
  const { access_token: accessToken, expiry, scope, token_type: tokenType = "bearer" } = data
  if (!isText(accessToken) || !isString(tokenType) || !isMaybe(scope, isString)) return undefined
  if (expiry !== undefined && !(typeof expiry === "number" && expiry >= 0 && expiry <= never)) return undefined
  const expiresAt = typeof expiry === "number" && expiry < never ? expiry : undefined
  const now = performance.timeOrigin + performance.now()
  const { isOfAll, minimumValidity } = wish
  if (minimumValidity !== undefined && expiresAt !== undefined && expiresAt * 1000 <= now + minimumValidity) {
    return undefined
  }
  const extras = isOfAll === true ? Object.entries(data).filter(([name]) => !reservedFields.includes(name)) : []
  return {
    accessToken,
    expiresAt,
    tokenType,
    scopes: scopesIn(isString(scope) ? scope : undefined),
    extras: Object.fromEntries(extras),
  }
}

/** How the whole program ends when it is told to. */
const interrupted = () => process.exit(130)
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/**
 * What is to be said of the token that is wished for, from the host at `path`; undefined where it is for the whole program to
 * say something. Throws likewise, before anything was asked.
 */
export const find = (wish: Wish, path: string, env: Environment): Promise<string | undefined> | undefined => {
  const capability = capabilityIn(env)
  if (capability === undefined || (capability.shown !== undefined && !isOfTrusted(path))) return undefined
  const { bucket, provider } = wish
  for (const signal of signals) process.on(signal, interrupted)
  return ask({ path, capability: capability.shown, provider, bucket }).then((outcome) => {
    for (const signal of signals) process.off(signal, interrupted)
    if (outcome === undefined) return undefined
    const { reply } = outcome._tag === "Replied" ? outcome : { reply: undefined }
    const token = reply?.["ok"] === true ? tokenIn(reply["data"], wish) : undefined
    const answer = token === undefined ? undefined : wish.answer(token)
    if (answer?._tag === "Said") return answer.stdout
    Handover.leave({ path, provider, bucket, outcome })
    return undefined
  })
}
