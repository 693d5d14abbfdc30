import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import { fails, github, makeGate, setUp } from "../support/Refreshing.ts"

const trouble = fails(Reason.Transient({ what: "server-error" }))

describe("a refresh ahead of time", () => {
  it.effect("that meets trouble is tried again after 5, 10, 20 … 300 s, and no sooner by anybody", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      const waits = [5, 10, 20, 40, 80, 160, 300, 300, 300]
      provider.answers(github, ...waits.map(() => trouble))
      for (const wait of waits) {
        yield* Effect.flip(refresh(github, "ahead of time"))
        yield* TestClock.adjust(wait * 1000 - 1)
        const failure = yield* Effect.flip(refresh(github))
        assert.strictEqual(failure._tag, "RefreshFailed")
        assert.include(failure.message, "no sooner than in 1 s")
        yield* TestClock.adjust(1)
      }
      const starts = waits.map((_, i) => waits.slice(0, i).reduce((sum, wait) => sum + wait, 0))
      assert.deepStrictEqual(provider.times(), starts)
    }),
  )

  it.effect("is tried again soon when somebody begins to wait for it", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      const gate = yield* makeGate
      provider.answers(github, gate.before(trouble), trouble)
      const ahead = yield* Effect.forkChild(refresh(github, "ahead of time"))
      yield* gate.asked
      const waiting = yield* Effect.forkChild(refresh(github))
      yield* Effect.yieldNow
      yield* gate.open
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(waiting)
      yield* Fiber.join(ahead)
      assert.deepStrictEqual(provider.times(), [0, 1, 4])
    }),
  )
})

describe("a refresh token", () => {
  it.effect("is not shown to another server or client than gave it, and nothing is held against the login", () =>
    Effect.gen(function* () {
      const { provider, record, refresh, store } = yield* setUp()
      const before = yield* record
      for (const grantedBy of [
        { server: "https://other.example", clientId: "c" },
        { server: "https://id.example", clientId: "another" },
      ]) {
        yield* store.set(github, { ...before, grantedBy })
        const failure = yield* Effect.flip(refresh(github))
        assert.strictEqual(failure._tag, "RefreshFailed")
        assert.include(failure.message, "tokenkeep login github")
        assert.deepStrictEqual((yield* record).history, before.history)
      }
      assert.deepStrictEqual(provider.redemptions, [])
      yield* store.set(github, { ...before, grantedBy: { server: "https://id.example", clientId: "c" } })
      yield* refresh(github)
      assert.strictEqual(provider.redemptions.length, 1)
    }),
  )
})
