/**
 * Tells events to who follows them in other processes: each has a socket in the events folder. Nothing is done while there
 * is none, but a look at the folder once in a second.
 *
 * Only a folder and sockets of our own user are believed in, in a folder that nobody else may enter. A follower that does
 * not read is told less, never waited for.
 */
import { lstatSync, readdirSync, type Stats, unlinkSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { Clock, DateTime, Duration, Effect, Layer, Result } from "effect"
import { type AuthEvent, isOfTokens, toJson } from "../domain/AuthEvent.ts"
import * as Ownership from "../system/Ownership.ts"
import { AuthEvents } from "./AuthEvents.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { type Follower, followerIn } from "./FollowerName.ts"

/** How often it is looked for new followers. */
const interval = Duration.seconds(1)

/** How long the last words may take when the process ends. */
const closingTime = Duration.seconds(1)

/** Bytes that may wait for a follower; what comes beyond these is only counted. */
const longestBacklog = 1024 * 1024

/** A socket that was made just now may not be listened at yet. */
const settling = Duration.toMillis("5 seconds")

/** A folder changed so recently may change again without looking different: clocks of file systems tick slowly. */
const tick = 50

/** Events go to so many; whoever makes more sockets than that is not following. */
const most = 32

/** A connection to one follower. */
class Link {
  readonly #socket: Socket
  readonly #clock: Clock.Clock
  #lines: Array<string> = []
  #length = 0
  #missed = 0

  constructor(path: string, clock: Clock.Clock, gone: (refused: boolean) => void) {
    this.#clock = clock
    this.#socket = connect(path)
    let code: string | undefined
    this.#socket
      .on("error", (error: NodeJS.ErrnoException) => {
        code = error.code
      })
      .on("close", () => gone(code === "ECONNREFUSED"))
      // It has nothing to say to us.
      .resume()
    // What is told to it must not keep a process alive that has nothing else to do.
    this.#socket.unref()
  }

  say(line: string): void {
    if (this.#length + this.#socket.writableLength > longestBacklog) {
      this.#missed++
      return
    }
    this.#admit()
    this.#add(line)
  }

  /** Says how many events were not said. */
  #admit(): void {
    if (this.#missed === 0) return
    const at = DateTime.makeUnsafe(this.#clock.currentTimeMillisUnsafe())
    this.#add(toJson({ _tag: "missed", at, count: this.#missed }))
    this.#missed = 0
  }

  #add(line: string): void {
    this.#lines.push(line)
    this.#length += line.length + 1
    // Once for all that is told in this turn.
    if (this.#lines.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    if (this.#lines.length === 0) return
    this.#socket.write(`${this.#lines.join("\n")}\n`, "latin1")
    this.#lines = []
    this.#length = 0
  }

  /** Says the last that there is to say. */
  readonly end = Effect.callback<void>((resume) => {
    this.#admit()
    this.#flush()
    if (this.#socket.destroyed) return resume(Effect.void)
    this.#socket.ref()
    this.#socket.once("close", () => resume(Effect.void))
    this.#socket.end(() => this.#socket.destroy())
    return Effect.sync(() => this.#socket.destroy())
  })

  drop(): void {
    this.#socket.destroy()
  }
}

const statOf = (path: string): Stats | undefined =>
  Result.getOrUndefined(Result.try(() => lstatSync(path, { throwIfNoEntry: false })))

const nothing = () => {}

const remove = (path: string) => void Result.try(() => unlinkSync(path))

/** Tells the events of this process, as long as the scope is open. */
export const layer: Layer.Layer<never, never, BrokerConfig> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { eventsDirectory } = yield* BrokerConfig
    const events = yield* AuthEvents
    const clock = yield* Clock.Clock
    const us = Ownership.uid()
    const links = new Map<string, Follower & { readonly link: Link }>()
    let seen = { inode: 0, modified: Number.NaN }
    let stop = nothing
    let isOver = false

    const tell = (event: AuthEvent, isWanted: (follower: Follower) => boolean) => {
      const line = toJson(event)
      for (const follower of links.values()) if (isWanted(follower)) follower.link.say(line)
    }
    /** Listens to no more than there is somebody for. */
    const listen = () => {
      stop()
      if (isOver) return
      const tokens = [...links.values()].some((follower) => follower.tokens)
      stop =
        links.size === 0
          ? nothing
          : events.listen({ tokens }, (event) => {
              const isToken = isOfTokens(event._tag)
              tell(event, (follower) => follower.tokens || !isToken)
            })
    }

    /** Whether nobody but us can be at the other end: only we may change what is in there. */
    const isOurs = (stats: Stats) => us === -1 || stats.uid === us

    const follow = (name: string, now: number) => {
      const follower = followerIn(name)
      const path = join(eventsDirectory, name)
      if (follower === undefined || links.has(path) || links.size >= most) return
      const socket = statOf(path)
      if (socket === undefined || !socket.isSocket() || !isOurs(socket)) return
      const link = new Link(path, clock, (isRefused) => {
        links.delete(path)
        listen()
        // Nobody is there any more who could remove it.
        if (isRefused && now - socket.mtimeMs > settling) [path, `${path}.lock`].forEach(remove)
        else if (isRefused) seen = { inode: 0, modified: Number.NaN }
      })
      links.set(path, { ...follower, link })
    }

    const look = () => {
      const folder = statOf(eventsDirectory)
      if (folder === undefined) return
      if (folder.ino === seen.inode && folder.mtimeMs === seen.modified) return
      if (!folder.isDirectory() || !isOurs(folder) || (folder.mode & Ownership.groupOrOthersMayDoAnything) !== 0) return
      const now = clock.currentTimeMillisUnsafe()
      const isSettled = Math.abs(now - folder.mtimeMs) > tick
      seen = isSettled ? { inode: folder.ino, modified: folder.mtimeMs } : { inode: 0, modified: Number.NaN }
      const names = Result.getOrElse(
        Result.try(() => readdirSync(eventsDirectory)),
        (): Array<string> => [],
      )
      const before = links.size
      for (const name of names) follow(name, now)
      if (links.size !== before) listen()
    }

    // At once, because a process may live for less than a second.
    look()
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isOver = true
        stop()
        const left = [...links.values()]
        return Effect.forEach(left, ({ link }) => link.end, { concurrency: "unbounded", discard: true }).pipe(
          Effect.timeoutOption(closingTime),
          Effect.andThen(Effect.sync(() => left.forEach(({ link }) => link.drop()))),
        )
      }),
    )
    yield* Effect.sync(look).pipe(Effect.delay(interval), Effect.forever, Effect.forkScoped)
  }),
).pipe(Layer.provide(AuthEvents.layer))
