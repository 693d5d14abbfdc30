import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AuthEvents } from "../../src/broker/AuthEvents.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as EventCommand from "../../src/broker/EventCommand.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { endInterrupted } from "../support/endInterrupted.ts"
import * as Logs from "../support/Logs.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const account = Account.make("github", "work")
const reauth = { _tag: "reauth_required", account } as const
const requested = { _tag: "token_requested", account, operation: "get_token" } as const

/** A host whose configuration says this in `onEvent`; `script` is where a script of the test may be. */
const setUp = Effect.fnUntraced(function* (onEvent: (script: string) => unknown, script = "") {
  const home = yield* TemporaryHome.make
  writeFileSync(`${home}/script`, `#!/bin/sh\ncd ${home}\n${script}\n`, { mode: 0o755 })
  const providers = [{ name: "p", clientSecret: { env: "CLIENT_SECRET_OF_THE_TEST" } }]
  writeFileSync(`${home}/config.json`, JSON.stringify({ providers, onEvent: onEvent(`${home}/script`) }))
  const scope = yield* Scope.make()
  const context = yield* EventCommand.layer.pipe(
    Layer.provide([BrokerConfig.layer(home), NodeServices.layer]),
    Layer.provideMerge(AuthEvents.layer),
    Layer.fresh,
    Layer.buildWithScope(scope),
  )
  const events = yield* Effect.provideContext(AuthEvents, context)
  return {
    home,
    events,
    /** Ends the host, which lets what was begun come to its end. */
    end: endInterrupted(scope),
    read: (file: string) => readFileSync(`${home}/${file}`, "utf8"),
  }
})

const until = (isTrue: () => boolean) =>
  TestClock.withLive(
    Effect.sync(isTrue).pipe(
      Effect.delay("5 millis"),
      Effect.repeat({ until: (is) => is }),
      Effect.timeout("10 seconds"),
    ),
  )

describe("the command for events", () => {
  it.live("has the event on its stdin, no shell around it, and none of our secrets", () =>
    Effect.gen(function* () {
      for (const name of [
        "TOKENKEEP_CAPABILITY",
        "TOKENKEEP_CAPABILITY_FD",
        "CLIENT_SECRET_OF_THE_TEST",
        "TOKENKEEP_GOOGLE_CLIENT_SECRET",
      ]) {
        process.env[name] = "canary"
        yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env[name]))
      }
      const { end, events, read } = yield* setUp(
        (script) => [script, "$HOME; touch x", "two"],
        `cat >> events; echo "$1|$2|$TOKENKEEP_EVENT" >> args; env > environment; echo noise; echo noise >&2`,
      )
      assert.isFalse(events.hearsTokens)
      events.publish(reauth)
      events.publish(requested)
      events.publish({ _tag: "logout", account, revocation: "revoked" })
      yield* end
      const told = read("events").trim().split("\n")
      assert.deepStrictEqual(
        told.map((line) => JSON.parse(line)["type"]),
        ["reauth_required", "logout"],
      )
      assert.include(told[0], '"version":1')
      assert.strictEqual(read("args"), "$HOME; touch x|two|reauth_required\n$HOME; touch x|two|logout\n")
      assert.include(read("environment"), "PATH=")
      assert.notInclude(read("environment"), "canary")
    }).pipe(Effect.scoped),
  )

  it.live("is run for the events that are chosen, those of tokens too", () =>
    Effect.gen(function* () {
      const { end, events, read } = yield* setUp(
        (script) => ({ command: [script], events: ["token_requested", "logout"] }),
        "cat >> events",
      )
      assert.isTrue(events.hearsTokens)
      events.publish(reauth)
      events.publish(requested)
      yield* end
      assert.strictEqual(read("events").trim().split("\n").length, 1)
      assert.include(read("events"), "token_requested")
    }),
  )

  for (const [what, onEvent] of [
    ["is a text", "notify-send hello"],
    ["is empty", []],
    ["names an event that there is not", { command: ["true"], events: ["refresh_lost"] }],
  ] as const) {
    it.live(`that ${what} stops nothing, and is said`, () => {
      const logs = Logs.make()
      return Effect.gen(function* () {
        const { end, events } = yield* setUp(() => onEvent)
        assert.isFalse(events.isHeard)
        yield* end
        assert.strictEqual(logs.lines.length, 1)
        assert.match(logs.lines[0] ?? "", /^Warn What \S+config\.json says in onEvent cannot be used/)
      }).pipe(Effect.provide(logs.layer))
    })
  }

  it.live("that is not there, or fails, is complained of once", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      for (const command of [["tokenkeep-no-such-program"], ["sh", "-c", "exit 3"]]) {
        const { end, events } = yield* setUp(() => command)
        for (let n = 0; n < 3; n++) events.publish(reauth)
        yield* end
      }
      assert.deepStrictEqual(
        logs.lines.map((line) => /: (.*?)\./.exec(line)?.[1]),
        ["it cannot be run (ENOENT)", "it ended with 3"],
      )
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("that does not end is killed after 10 s, with what it has started, and others have their turn", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const { end, events, home, read } = yield* setUp(
        (script) => [script],
        `if [ -e pid ]; then cat > second; else sleep 600 & echo $! > pid.new; mv pid.new pid; wait; fi`,
      )
      events.publish(reauth)
      for (let n = 0; n < 150; n++) events.publish(reauth)
      yield* until(() => existsSync(`${home}/pid`))
      assert.isFalse(existsSync(`${home}/second`))
      yield* TestClock.adjust("9999 millis")
      assert.isFalse(existsSync(`${home}/second`))
      yield* TestClock.adjust("1 millis")
      yield* until(() => existsSync(`${home}/second`))
      const sleeper = Number(read("pid"))
      yield* until(() => !isAlive(sleeper))
      yield* TestClock.withLive(end)
      assert.deepStrictEqual(
        logs.lines.map((line) => /: (.*?)\. It goes on/.exec(line)?.[1]),
        ["it did not end within 10 s, and was killed", "it is too slow, and is not run for all that happens"],
      )
    }).pipe(Effect.provide(logs.layer))
  })
})

/** Whether it runs; one that has ended and that nobody has asked for yet does not. */
const isAlive = (pid: number): boolean => {
  if (!existsSync("/proc/self/stat")) {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
}
