/**
 * Events from one process to another: the one that tells, over a folder with sockets, and the one that follows.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, utimesSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Layer, Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { AuthEvents } from "../../src/broker/AuthEvents.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as EventRelay from "../../src/broker/EventRelay.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { fromJson } from "../../src/domain/AuthEvent.ts"
import * as EventFollower from "../../src/server/EventFollower.ts"
import { endInterrupted } from "../support/endInterrupted.ts"
import { inShort } from "../support/Heard.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const happening = (provider: string) => ({ _tag: "reauth_required", account: Account.make(provider) }) as const

/** A home, and processes that tell what happens there. */
const setUp = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  const config = BrokerConfig.layer(home)
  const follow = (tokens = true) =>
    EventFollower.follow({ tokens }).pipe(Effect.provide([config, SecureRandom.layerWebCrypto, NodeServices.layer]))
  /** A process, which ends when `scope` is closed. */
  const start = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const teller = EventRelay.layer.pipe(Layer.provide(config), Layer.provideMerge(AuthEvents.layer), Layer.fresh)
    const events = yield* Effect.provideContext(AuthEvents, yield* Layer.buildWithScope(teller, scope))
    return { events, end: endInterrupted(scope) }
  })
  return { home, folder: `${home}/events`, follow, start }
})

const next = (stream: Stream.Stream<Parameters<typeof inShort>[0]>, count: number) =>
  Effect.map(Stream.runCollect(Stream.take(stream, count)), (events) =>
    events.map((event) => (event._tag === "missed" ? inShort(event) : `${event._tag} ${event.account}`)),
  )

/** A follower that takes connections and reads nothing until it is told to. */
const deafFollower = (folder: string, name: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly read: () => void; readonly lines: Array<string> }>((resume) => {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const lines: Array<string> = []
      const waiting: Array<() => void> = []
      const server = createServer({ pauseOnConnect: true }, (socket) => {
        let rest = ""
        socket.on("error", () => {})
        waiting.push(() =>
          socket
            .setEncoding("utf8")
            .on("data", (text: string) => {
              const all = (rest + text).split("\n")
              rest = all.pop() ?? ""
              lines.push(...all)
            })
            .resume(),
        )
      })
      server.listen(`${folder}/${name}`, () =>
        resume(Effect.succeed({ server, lines, read: () => waiting.forEach((read) => read()) })),
      )
    }),
    ({ server }) => Effect.sync(() => server.close()),
  )

const until = (isTrue: () => boolean) =>
  Effect.sync(isTrue).pipe(Effect.delay("5 millis"), Effect.repeat({ until: (is) => is }), Effect.timeout("5 seconds"))

const name = "all-0123456789abcdef.sock"

describe("a process that tells what happens", () => {
  it.live("is heard by those who follow, also in its last moment, and by those who come later", () =>
    Effect.gen(function* () {
      const { folder, follow, start } = yield* setUp
      const early = yield* start
      assert.isFalse(early.events.isHeard)
      const scope = yield* Scope.make()
      const stream = yield* Scope.provide(follow(), scope)
      assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
      const socket = readdirSync(folder).find((file) => file.endsWith(".sock"))
      assert.strictEqual(statSync(`${folder}/${socket}`).mode & 0o777, 0o600)
      const late = yield* start
      late.events.publish(happening("late"))
      yield* late.end
      assert.deepStrictEqual(yield* next(stream, 1), ["reauth_required late"])
      yield* until(() => early.events.isHeard)
      early.events.publish(happening("early"))
      assert.deepStrictEqual(yield* next(stream, 1), ["reauth_required early"])
      yield* Scope.close(scope, Exit.void)
      yield* until(() => !early.events.isHeard)
      assert.deepStrictEqual(readdirSync(folder), [])
      yield* early.end
    }).pipe(Effect.scoped),
  )

  it.live("does nothing for each token if nobody wants to hear of that", () =>
    Effect.gen(function* () {
      const { follow, start } = yield* setUp
      const stream = yield* follow(false)
      const { end, events } = yield* start
      assert.deepStrictEqual([events.isHeard, events.hearsTokens], [true, false])
      events.publish({ _tag: "token_requested", account: Account.make("x"), operation: "get_token" })
      events.publish(happening("y"))
      assert.deepStrictEqual(yield* next(stream, 1), ["reauth_required y"])
      yield* end
    }).pipe(Effect.scoped),
  )

  it.live("is not held up by a follower that does not read, which is told later how much it missed", () =>
    Effect.gen(function* () {
      const { folder, start } = yield* setUp
      const follower = yield* deafFollower(folder, name)
      const { end, events } = yield* start
      const many = 20_000
      for (let n = 0; n < many; n++) {
        events.publish(happening(`provider-${n}`))
        if (n % 100 === 0) yield* Effect.yieldNow
      }
      follower.read()
      yield* until(() => follower.lines.length > 0)
      yield* end
      yield* until(() => follower.lines.at(-1)?.includes('"missed"') ?? false)
      const told = follower.lines.map(fromJson).flatMap((event) => (event._tag === "Some" ? [event.value] : []))
      const missed = told.reduce((sum, event) => sum + (event._tag === "missed" ? event.count : 0), 0)
      assert.isAbove(missed, 1000)
      assert.strictEqual(told.filter(({ _tag }) => _tag !== "missed").length + missed, many)
    }).pipe(Effect.scoped),
  )

  it.live("ends within a second or so, whatever a follower does", () =>
    Effect.gen(function* () {
      const { folder, start } = yield* setUp
      yield* deafFollower(folder, name)
      const { end, events } = yield* start
      for (let n = 0; n < 5000; n++) events.publish(happening(`provider-${n}`))
      const before = yield* Clock.currentTimeMillis
      yield* end
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 3000)
    }).pipe(Effect.scoped),
  )

  it.live("removes the socket of a follower that was killed, and not one that was made just now", () =>
    Effect.gen(function* () {
      const { folder, start } = yield* setUp
      for (const [file, age] of [
        [name, 60],
        ["all-ffffffffffffffff.sock", 0],
      ] as const) {
        const { server } = yield* Effect.scoped(
          Effect.tap(deafFollower(folder, "s"), () =>
            Effect.sync(() => renameSync(`${folder}/s`, `${folder}/${file}`)),
          ),
        )
        assert.isFalse(server.listening)
        const then = (yield* Clock.currentTimeMillis) / 1000 - age
        utimesSync(`${folder}/${file}`, then, then)
      }
      const { end, events } = yield* start
      yield* until(() => !events.isHeard)
      assert.deepStrictEqual(readdirSync(folder), ["all-ffffffffffffffff.sock"])
      yield* end
    }).pipe(Effect.scoped),
  )

  for (const [what, spoil] of [
    ["others may enter", (folder: string) => chmodSync(folder, 0o755)],
    [
      "is only a link",
      (folder: string) => {
        renameSync(folder, `${folder}-elsewhere`)
        symlinkSync(`${folder}-elsewhere`, folder)
      },
    ],
  ] as const) {
    it.live(`tells nothing in a folder that ${what}`, () =>
      Effect.gen(function* () {
        const { folder, start } = yield* setUp
        yield* deafFollower(folder, name)
        const good = yield* start
        assert.isTrue(good.events.isHeard)
        yield* good.end
        spoil(folder)
        const { end, events } = yield* start
        assert.isFalse(events.isHeard)
        yield* end
      }).pipe(Effect.scoped),
    )
  }

  it.live("connects to nothing that is not a socket of this name", () =>
    Effect.gen(function* () {
      const { folder, start } = yield* setUp
      yield* deafFollower(folder, "other.sock")
      symlinkSync(`${folder}/other.sock`, `${folder}/${name}`)
      const { end, events } = yield* start
      assert.isFalse(events.isHeard)
      yield* end
    }).pipe(Effect.scoped),
  )
})

describe("a follower", () => {
  it.live("does not make its socket where others may enter", () =>
    Effect.gen(function* () {
      const { folder, follow } = yield* setUp
      mkdirSync(folder, { mode: 0o755 })
      chmodSync(folder, 0o755)
      const failure = yield* Effect.flip(follow())
      assert.include(failure.message, "others may enter its folder")
      assert.isTrue(existsSync(folder))
    }).pipe(Effect.scoped),
  )
})
