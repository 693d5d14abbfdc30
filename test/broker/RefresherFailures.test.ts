import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import * as Logs from "../support/Logs.ts"
import { recordInClear, seconds } from "../support/Records.ts"
import { accessOf, expired, fails, github, login, setUp } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

const trouble = Reason.Transient({ what: "server-error" })
const unreachable = Reason.Transient({ what: "unreachable" })
const moved = Reason.EndpointMoved({ status: 404 })
const refused = Reason.ReloginNeeded()
const rateLimited = (wait?: Duration.Input) =>
  Reason.RateLimited({ retryAfter: Option.map(Option.fromUndefinedOr(wait), Duration.fromInputUnsafe) })

describe("a refresh that the provider refuses for good", () => {
  it.effect("is not tried again, by nobody and never, and is logged once", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const { provider, record, refresh, start } = yield* setUp()
      provider.answers(github, fails(refused))
      const another = yield* start(2)
      for (let i = 0; i < 250; i++) {
        for (const process of [{ refresh }, another]) {
          assert.strictEqual(yield* tagOf(process.refresh(github)), "ReauthRequired")
        }
        yield* TestClock.adjust("1 hours")
      }
      assert.deepStrictEqual(provider.times(), [0])
      assert.strictEqual(logs.lines.filter((line) => line.includes("wants a new login")).length, 1)
      const { history, token } = yield* record
      assert.strictEqual(accessOf(token), "old")
      assert.deepStrictEqual(history.standing, { _tag: "Refused", at: seconds(0) })
      assert.notProperty(history, "backOff")
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("works again after a new login", () =>
    Effect.gen(function* () {
      const { access, accounts, provider } = yield* setUp()
      provider.answers(github, fails(refused))
      yield* Effect.flip(access(github))
      yield* login(accounts, github, expired("new"))
      assert.strictEqual(yield* access(github), "access-2")
      assert.strictEqual(provider.redemptions[1]?.refreshToken, "new")
    }),
  )
})

describe("a refresh that the provider puts off", () => {
  for (const [what, given, wait] of [
    ["for 120 s", rateLimited("120 seconds"), 120],
    ["for a fraction of a second", rateLimited("250 millis"), 5],
    ["for no time at all", rateLimited("0 millis"), 5],
    ["without saying for how long", rateLimited(), 60],
  ] as const) {
    it.effect(`${what} is not tried again, by nobody, for ${wait} s`, () =>
      Effect.gen(function* () {
        const { access, provider, refresh, start } = yield* setUp()
        provider.answers(github, fails(given))
        const first = yield* Effect.flip(refresh(github))
        assert.strictEqual(first._tag, "RefreshRateLimited")
        if (first._tag === "RefreshRateLimited") assert.strictEqual(Duration.toSeconds(first.retryAfter), wait)
        const another = yield* start(2)
        yield* TestClock.adjust(wait * 1000 - 1)
        for (const process of [{ refresh }, another]) {
          const failure = yield* Effect.flip(process.refresh(github))
          assert.strictEqual(failure._tag, "RefreshRateLimited")
          if (failure._tag === "RefreshRateLimited") assert.strictEqual(Duration.toMillis(failure.retryAfter), 1)
        }
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* access(github), "access-2")
        assert.deepStrictEqual(provider.times(), [0, wait])
      }),
    )
  }

  it.effect("is not put off for longer when the clock is set back", () =>
    Effect.gen(function* () {
      const { access, provider, refresh } = yield* setUp()
      yield* TestClock.setTime(3_600_000)
      provider.answers(github, fails(rateLimited("120 seconds")))
      yield* Effect.flip(refresh(github))
      yield* TestClock.setTime(3_000_000)
      assert.strictEqual(yield* access(github), "access-2")
    }),
  )
})

describe("a refresh that meets trouble which may be over in a moment", () => {
  for (const reason of [trouble, unreachable]) {
    it.effect(`${reason.what} is tried at 0, 1 and 4 s where somebody waits`, () =>
      Effect.gen(function* () {
        const { provider, record, refresh } = yield* setUp()
        provider.answers(github, ...[1, 2, 3].map(() => fails(reason)))
        const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(provider.times(), [0])
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(provider.times(), [0, 1])
        assert.isUndefined(asking.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(provider.times(), [0, 1, 4])
        assert.strictEqual((yield* Fiber.join(asking))._tag, "RefreshFailed")
        const { history, token } = yield* record
        assert.strictEqual(accessOf(token), "old")
        assert.deepInclude(history, { epoch: 3, failures: 1, standing: { _tag: "Good" } })
      }),
    )
  }

  it.effect("and is over at the second try brings a token, and no failure is counted", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      provider.answers(github, fails(trouble))
      const asking = yield* Effect.forkChild(access(github))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* Fiber.join(asking), "access-2")
      assert.strictEqual((yield* record).history.failures, 0)
      assert.notProperty((yield* record).history, "backOff")
    }),
  )

  it.effect("is tried once where there is time", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      provider.answers(github, fails(trouble))
      assert.strictEqual(yield* tagOf(refresh(github, "ahead of time")), "RefreshFailed")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(provider.times(), [0])
    }),
  )

  it.effect("which then turns out to be of another kind is not tried again", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      provider.answers(github, fails(trouble), fails(rateLimited("7 seconds")))
      const asking = yield* Effect.forkChild(tagOf(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(asking), "RefreshRateLimited")
      assert.deepStrictEqual(provider.times(), [0, 1])
    }),
  )

  it.effect("while nothing is sent yet does not count as a use of the refresh token", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      provider.begins(Effect.fail(unreachable))
      provider.begins(Effect.fail(Reason.Transient({ what: "timeout" })))
      const asking = yield* Effect.forkChild(access(github))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(asking), "access-1")
      assert.deepStrictEqual(provider.times(), [4])
      assert.strictEqual((yield* record).history.epoch, 1)
    }),
  )
})

describe("a refresh that failed", () => {
  it.effect("for a reason that a person has to mend is tried again every 5 s", () =>
    Effect.gen(function* () {
      const { provider, refresh } = yield* setUp()
      const waits = [5, 5, 5, 5, 5, 5]
      provider.answers(github, ...waits.map(() => fails(moved)))
      for (const wait of waits) {
        yield* Effect.flip(refresh(github))
        yield* TestClock.adjust(wait * 1000 - 1)
        const failure = yield* Effect.flip(refresh(github))
        assert.strictEqual(failure._tag, "RefreshFailed")
        assert.include(failure.message, "found nothing at the configured address")
        assert.include(failure.message, "no sooner than in 1 s")
        yield* TestClock.adjust(1)
      }
      const starts = waits.map((_, i) => waits.slice(0, i).reduce((sum, wait) => sum + wait, 0))
      assert.deepStrictEqual(provider.times(), starts)
    }),
  )

  it.effect("is tried again after 5 s when there was a success in between", () =>
    Effect.gen(function* () {
      const { access, provider, record, refresh } = yield* setUp({ life: 0 })
      provider.answers(github, fails(moved), fails(moved))
      yield* Effect.flip(refresh(github))
      yield* TestClock.adjust("5 seconds")
      yield* Effect.flip(refresh(github))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* access(github), "access-3")
      provider.answers(github, fails(moved))
      yield* TestClock.adjust("1 seconds")
      yield* Effect.flip(refresh(github))
      assert.deepStrictEqual((yield* record).history.backOff, { from: seconds(16), until: seconds(21) })
    }),
  )

  it.effect("counts its quick tries as one", () =>
    Effect.gen(function* () {
      const { provider, record, refresh } = yield* setUp()
      provider.answers(github, ...[1, 2, 3].map(() => fails(trouble)))
      const asking = yield* Effect.forkChild(Effect.flip(refresh(github)))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(asking)
      assert.deepStrictEqual((yield* record).history.backOff, { from: seconds(4), until: seconds(9) })
    }),
  )

  for (const [what, reason, outcome, words] of [
    [
      "the client is not entitled",
      Reason.NotEntitled({ code: Option.some("invalid_client") }),
      "not_entitled",
      "client id",
    ],
    ["the endpoint has moved", moved, "endpoint_moved", "configured address"],
    ["the record cannot be used", Reason.Misconfigured({ what: "it is bad" }), "misconfigured", "it is bad"],
  ] as const) {
    it.effect(`because ${what} keeps everything, and is not tried again at once`, () => {
      const logs = Logs.make()
      return Effect.gen(function* () {
        const { provider, record, refresh } = yield* setUp()
        const before = recordInClear(yield* record)
        provider.answers(github, fails(reason))
        const failure = yield* Effect.flip(refresh(github))
        assert.strictEqual(failure._tag, "RefreshFailed")
        assert.include(failure.message, words)
        assert.include(failure.message, "The login is kept")
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual(provider.times(), [0])
        const after = yield* record
        assert.deepStrictEqual(recordInClear(after).token, before.token)
        assert.deepStrictEqual(after.history.standing, { _tag: "Good" })
        assert.strictEqual(after.history.last?.outcome, outcome)
        assert.deepStrictEqual(logs.lines, [])
      }).pipe(Effect.provide(logs.layer))
    })
  }

  it.effect("says nothing that the provider said", () => {
    const logs = Logs.make()
    return Effect.gen(function* () {
      const { provider, refresh } = yield* setUp({ token: { refreshToken: Redacted.make("canary") } })
      provider.answers(github, fails(refused))
      const failure = yield* Effect.flip(refresh(github))
      assert.notInclude([failure.message, JSON.stringify(failure), ...logs.lines].join(), "canary")
    }).pipe(Effect.provide(logs.layer))
  })
})

describe("a refresh that brings a new refresh token and no access token", () => {
  const bare = Effect.succeed({ refreshToken: Redacted.make("bare") })
  const used = (provider: { readonly redemptions: ReadonlyArray<{ readonly refreshToken: string }> }) =>
    provider.redemptions.map(({ refreshToken }) => refreshToken)

  it.effect("is tried again at once, with the new one", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      provider.answers(github, bare)
      assert.strictEqual(yield* access(github), "access-2")
      assert.deepStrictEqual(provider.times(), [0, 0])
      assert.deepStrictEqual(used(provider), ["old", "bare"])
      assert.deepStrictEqual((yield* record).token.refreshToken, Redacted.make("refresh-2"))
    }),
  )

  it.effect("is tried again as patiently as any", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp()
      provider.answers(github, bare, fails(Reason.Transient({ what: "server-error" })))
      const asking = yield* Effect.forkChild(access(github))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(asking), "access-3")
      assert.deepStrictEqual(used(provider), ["old", "bare", "bare"])
    }),
  )

  it.effect("is tried once more only, and what it brought is kept", () =>
    Effect.gen(function* () {
      const { access, provider, record } = yield* setUp()
      provider.answers(github, bare, Effect.succeed({ refreshToken: Redacted.make("barer") }))
      assert.strictEqual(yield* tagOf(access(github)), "RefreshFailed")
      assert.deepStrictEqual(used(provider), ["old", "bare"])
      assert.deepStrictEqual((yield* record).token.refreshToken, Redacted.make("barer"))
    }),
  )

  it.effect("is not tried again while the old access token is good", () =>
    Effect.gen(function* () {
      const { access, provider } = yield* setUp({ token: { expiresAt: seconds(60) } })
      provider.answers(github, bare)
      assert.strictEqual(yield* access(github), "old")
      assert.deepStrictEqual(used(provider), ["old"])
    }),
  )
})
