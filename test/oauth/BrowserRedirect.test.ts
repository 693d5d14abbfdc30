import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { judge } from "../../src/oauth/BrowserRedirect.ts"
import type { Outcome } from "../../src/oauth/CallbackPage.ts"
import type { Visit } from "../../src/oauth/LoopbackListener.ts"

const expected = { host: "127.0.0.1:8085", path: "/cb", state: "st4te" }

const answer: Visit = {
  method: "GET",
  host: "127.0.0.1:8085",
  origin: undefined,
  target: "/cb?code=4%2F0Aean&state=st4te",
}

const judged = (visit: Partial<Visit>) =>
  judge({ ...answer, ...visit }, expected).pipe(
    Result.map((parameters) => Object.fromEntries(parameters)),
    Result.merge,
  )

describe("a visit to the loopback listener", () => {
  for (const [what, visit, parameters] of [
    ["brings a code with our state", {}, { code: "4/0Aean", state: "st4te" }],
    ["comes from a page without origin", { origin: "null" }, { code: "4/0Aean", state: "st4te" }],
    [
      "brings an error with our state",
      { target: "/cb?error=access_denied&state=st4te" },
      { error: "access_denied", state: "st4te" },
    ],
    ["has a question mark in its code", { target: "/cb?code=a?b&state=st4te" }, { code: "a?b", state: "st4te" }],
    [
      "brings more than we need",
      { target: "/cb?state=st4te&iss=https%3A%2F%2Fx&code=a" },
      { state: "st4te", iss: "https://x", code: "a" },
    ],
  ] as const) {
    it(`is the answer if it ${what}`, () => {
      assert.deepStrictEqual(judged(visit), parameters)
    })
  }

  const refusals: ReadonlyArray<readonly [what: string, visit: Partial<Visit>, outcome: Outcome]> = [
    ["posts", { method: "POST" }, "not-here"],
    ["only asks for the head", { method: "HEAD" }, "not-here"],
    ["asks what is allowed", { method: "OPTIONS" }, "not-here"],
    ["reaches us by another name", { host: "localhost:8085" }, "not-here"],
    ["reaches us by a rebound name", { host: "evil.test:8085" }, "not-here"],
    ["reaches us by another port", { host: "127.0.0.1:8086" }, "not-here"],
    ["reaches us by no port", { host: "127.0.0.1" }, "not-here"],
    ["names no host", { host: undefined }, "not-here"],
    ["comes from another site", { origin: "https://evil.test" }, "not-here"],
    ["comes from a page on this very port", { origin: "http://127.0.0.1:8085" }, "not-here"],
    ["wants the icon", { target: "/favicon.ico" }, "not-here"],
    ["wants the icon with our answer", { target: "/favicon.ico?code=a&state=st4te" }, "not-here"],
    ["wants a longer path", { target: "/cb/?code=a&state=st4te" }, "not-here"],
    ["wants the path in capitals", { target: "/CB?code=a&state=st4te" }, "not-here"],
    ["writes the path in another way", { target: "/%63b?code=a&state=st4te" }, "not-here"],
    ["wants a whole URL", { target: "http://127.0.0.1:8085/cb?code=a&state=st4te" }, "not-here"],
    ["wants nothing", { target: "" }, "not-here"],
    ["brings nothing", { target: "/cb" }, "not-this-login"],
    ["brings no code", { target: "/cb?state=st4te" }, "not-this-login"],
    ["brings no state", { target: "/cb?code=a" }, "not-this-login"],
    ["brings an empty state", { target: "/cb?code=a&state=" }, "not-this-login"],
    ["brings another state of the same length", { target: "/cb?code=a&state=st4tE" }, "not-this-login"],
    ["brings a state with another beginning", { target: "/cb?code=a&state=xt4te" }, "not-this-login"],
    ["brings the beginning of our state", { target: "/cb?code=a&state=st4t" }, "not-this-login"],
    ["brings our state and more", { target: "/cb?code=a&state=st4te0" }, "not-this-login"],
    ["brings our state after another", { target: "/cb?code=a&state=wrong&state=st4te" }, "not-this-login"],
    ["brings an error without our state", { target: "/cb?error=access_denied" }, "not-this-login"],
    ["brings an error with another state", { target: "/cb?error=access_denied&state=other" }, "not-this-login"],
  ]

  for (const [what, visit, outcome] of refusals) {
    it(`is turned away as ${outcome} if it ${what}`, () => {
      assert.strictEqual(judged(visit), outcome)
    })
  }

  it("is the answer with exactly our state and no other", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (state, other) => {
        const target = (brought: string) => `/cb?${new URLSearchParams({ code: "a", state: brought }).toString()}`
        const bringing = (brought: string) => judge({ ...answer, target: target(brought) }, { ...expected, state })
        assert.isTrue(Result.isSuccess(bringing(state)))
        assert.strictEqual(Result.isSuccess(bringing(other)), other === state)
      }),
    )
  })
})
