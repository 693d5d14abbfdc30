import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Result, Scope } from "effect"
import * as Account from "../../src/domain/AccountKey.ts"
import type * as Grant from "../../src/domain/Grant.ts"
import { AccountPattern } from "../../src/domain/NamePattern.ts"
import * as LiveGrant from "../../src/server/LiveGrant.ts"
import { Questions } from "../../src/server/Questions.ts"
import { Allowance } from "../../src/server/RateLimit.ts"

const terms: Grant.Terms = {
  label: "sandbox",
  accounts: [AccountPattern.make({ provider: "github", bucket: "*" })],
  keys: [],
  permissions: ["get_token"],
  approved: [],
  uids: [1000],
}

const wish: Grant.Wish = { _tag: "Account", permission: "get_token", account: Account.make("github", "work") }

const setUp = Effect.gen(function* () {
  const live = LiveGrant.make(
    { ...terms, id: "01234567", transport: "unix", isKept: false, createdAt: DateTime.makeUnsafe(0) },
    { address: "/s", allowance: new Allowance(0), scope: yield* Scope.make(), save: () => Effect.void },
  )
  return { live, rights: LiveGrant.rights(live, yield* Questions, () => 0) }
}).pipe(Effect.provide(Questions.layerOff))

describe("what was granted to a request", () => {
  it.effect("is good for as long as nobody takes it back while the request is under way", () =>
    Effect.gen(function* () {
      const { live, rights } = yield* setUp
      const { stillGood } = yield* rights.demand(wish)
      const isGood = Effect.map(Effect.result(stillGood), Result.isSuccess)
      assert.isTrue(yield* isGood)
      yield* LiveGrant.edit(live, { ...terms, label: "renamed" })
      assert.isTrue(yield* isGood)
      yield* LiveGrant.edit(live, { ...terms, accounts: [] })
      assert.isFalse(yield* isGood)
      yield* LiveGrant.edit(live, terms)
      assert.isTrue(yield* isGood)
      yield* LiveGrant.end(live, Effect.void)
      assert.isFalse(yield* isGood)
      assert.strictEqual((yield* Effect.flip(rights.demand(wish)))._tag, "Forbidden")
    }),
  )
})
