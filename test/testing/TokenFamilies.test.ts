import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as fc from "fast-check"
import * as Policy from "../../src/testing/Policy.ts"
import * as TokenFamilies from "../../src/testing/TokenFamilies.ts"

/** Begins logins, and then presents tokens that were issued before, with so many seconds between. */
const story = fc.record({
  logins: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(fc.record({ which: fc.nat(), seconds: fc.integer({ min: 0, max: 20 }) }), { maxLength: 30 }),
})

/** Tells a story, and what came of each step. */
const tell = ({ logins, steps }: typeof story extends fc.Arbitrary<infer A> ? A : never, policy: Policy.Policy) => {
  const families = TokenFamilies.make()
  const known: Array<string> = []
  let count = 0
  const fresh = () => ({ accessToken: `a${++count}`, refreshToken: `r${count}` })
  for (let n = 0; n < logins; n++) known.push(families.begin(fresh(), policy, 0).refreshToken)
  let now = 0
  const seen = steps.map(({ seconds, which }) => {
    now += seconds * 1000
    const text = known[which % known.length] ?? ""
    const [presented, issued] = families.redeem(text, fresh(), policy, now)
    if (issued?.refreshToken !== undefined) known.push(issued.refreshToken)
    return { now, text, presented, issued, active: issued !== undefined && families.isActive(issued.accessToken, now) }
  })
  return { families, seen }
}

describe("token families", () => {
  it("without a grace redeem no token twice, and end with the first reuse", () => {
    fc.assert(
      fc.property(story, (told) => {
        const { families, seen } = tell(told, Policy.strict)
        const redeemed = seen.filter(({ issued }) => issued !== undefined).map(({ text }) => text)
        assert.strictEqual(new Set(redeemed).size, redeemed.length)
        const ended = new Set<number>()
        for (const { active, issued, presented } of seen) {
          if (presented.was === "unknown") continue
          if (presented.was === "spent") ended.add(presented.family)
          assert.strictEqual(issued === undefined, presented.was !== "live")
          assert.strictEqual(active, issued !== undefined)
          if (ended.has(presented.family)) assert.isUndefined(issued)
        }
        for (const { dead, number } of families.list()) assert.strictEqual(dead, ended.has(number))
      }),
    )
  })

  it("with a grace redeem a spent token only in time, and only until a successor is used", () => {
    const grace = Policy.change(Policy.strict, { grace: "10 seconds", reuse: "refuse" })
    fc.assert(
      fc.property(story, (told) => {
        const { families, seen } = tell(told, grace)
        const parents = new Map<string, string>()
        const superseded = new Set<string>()
        const spentAt = new Map<string, number>()
        for (const { issued, now, presented, text } of seen) {
          const age = now - (spentAt.get(text) ?? now)
          if (presented.was === "in-grace") assert.isFalse(superseded.has(text))
          if (presented.was === "in-grace") assert.isBelow(age, 10_000)
          if (presented.was === "spent") assert.isTrue(superseded.has(text) || age >= 10_000)
          if (issued === undefined) continue
          if (presented.was === "live") spentAt.set(text, now)
          const parent = parents.get(text)
          if (parent !== undefined) superseded.add(parent)
          parents.set(issued.refreshToken ?? "", text)
        }
        for (const family of families.list()) {
          const mine = seen.filter(({ presented }) => presented.was !== "unknown" && presented.family === family.number)
          const [redemptions, refusals] = [true, false].map(
            (good) => mine.filter(({ issued }) => (issued !== undefined) === good).length,
          )
          assert.deepStrictEqual([family.redemptions, family.refusals], [redemptions, refusals])
          assert.isFalse(family.dead)
        }
      }),
    )
  })

  it("keep the refresh token where the policy keeps it", () => {
    const keep = Policy.change(Policy.strict, { rotation: "keep", accessTokenLifetime: "1 second" })
    const families = TokenFamilies.make()
    const { refreshToken } = families.begin({ accessToken: "a", refreshToken: "r" }, keep, 0)
    for (let round = 1; round < 5; round++) {
      const [presented, issued] = families.redeem(
        refreshToken,
        { accessToken: `a${round}`, refreshToken: "x" },
        keep,
        0,
      )
      assert.deepStrictEqual(presented, { was: "live", family: 1, token: 1 })
      assert.isUndefined(issued?.refreshToken)
      assert.isTrue(families.isActive(`a${round}`, Duration.toMillis("999 millis")))
      assert.isFalse(families.isActive(`a${round}`, Duration.toMillis("1 second")))
    }
  })
})
