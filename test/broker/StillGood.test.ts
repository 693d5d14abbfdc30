import { assert, describe, it } from "@effect/vitest"
import { type DateTime, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { orStillGood } from "../../src/broker/StillGood.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Errors from "../../src/domain/Errors.ts"
import * as Logs from "../support/Logs.ts"
import { seconds } from "../support/Records.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("github")
const retryAfter = Duration.seconds(1)

/** Every way in which a refresh can fail, but one. */
const failures = [
  Errors.RefreshNotAvailable.make({ account }),
  Errors.ReauthRequired.make({ account }),
  Errors.RefreshFailed.make({ account, detail: "x" }),
  Errors.RefreshRateLimited.make({ account, retryAfter }),
  Errors.LockBusy.make({ account, retryAfter }),
  Errors.ProviderNotFound.make({ provider: "github" }),
  Errors.SecretUnavailable.make({ provider: "github", source: "x" }),
  Errors.ConfigCorrupt.make({ path: "x" }),
  Errors.StoreUnavailable.make({ path: "x", operation: "write" }),
  Errors.StoreCorrupt.make({ path: "x" }),
]

interface Token {
  readonly name: string
  readonly expiresAt?: DateTime.Utc
}

const token: Token = { name: "old", expiresAt: seconds(10) }

describe("a token that could not be refreshed", () => {
  for (const failure of failures) {
    it.effect(`(${failure._tag}) is good until its last second, and no longer`, () => {
      const logs = Logs.make()
      return Effect.gen(function* () {
        const refresh = orStillGood(token)(Effect.fail(failure))
        assert.strictEqual(yield* refresh, token)
        yield* TestClock.adjust("9999 millis")
        assert.strictEqual(yield* refresh, token)
        assert.deepStrictEqual(
          logs.lines,
          Array.from({ length: 2 }, () => `Warn A token that is still good is handed out as it is. ${failure.message}`),
        )
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Effect.flip(refresh), failure)
        assert.strictEqual(logs.lines.length, 2)
      }).pipe(Effect.provide(logs.layer))
    })
  }

  it.effect("because nobody is logged in any more is not handed out", () =>
    Effect.gen(function* () {
      const refresh = Effect.fail(Errors.TokenNotFound.make({ account }))
      assert.strictEqual(yield* tagOf(orStillGood(token)(refresh)), "TokenNotFound")
    }),
  )

  it.effect("and never expires is always good", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("10000 days")
      const refresh = Effect.fail(Errors.ReauthRequired.make({ account }))
      assert.deepStrictEqual(yield* orStillGood<Token>({ name: "eternal" })(refresh), { name: "eternal" })
    }),
  )

  it.effect("because of a fault of ours is not what to talk about", () =>
    Effect.gen(function* () {
      const refresh: Effect.Effect<Token, Errors.ReauthRequired> = Effect.die("a fault")
      const exit = yield* Effect.exit(orStillGood(token)(refresh))
      assert.strictEqual(exit._tag, "Failure")
    }),
  )
})

describe("a token that was refreshed", () => {
  it.effect("is handed out in place of the old one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orStillGood(token)(Effect.succeed<Token>({ name: "new" })), {
        name: "new",
      })
    }),
  )
})
