import { assert, describe, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import * as fc from "fast-check"
import { classify, ProviderFailure, Reason } from "../../src/oauth/ProviderFailure.ts"
import { anyText } from "../support/AnyText.ts"

const messageOf = (reason: Reason) => new ProviderFailure({ provider: "hub", reason }).message

const relogin = Reason.ReloginNeeded()
const serverError = Reason.Transient({ what: "server-error" })
const limited = Reason.RateLimited({ retryAfter: Option.none() })
const refused = (code?: string) => Reason.NotEntitled({ code: Option.fromUndefinedOr(code) })
const moved = (status: number) => Reason.EndpointMoved({ status })

const reloginCodes = [
  "invalid_grant",
  "invalid_token",
  "token_inactive",
  "interaction_required",
  "login_required",
  "consent_required",
]

describe("classifying a provider's answer", () => {
  for (const [status, code, reason] of [
    ...reloginCodes.map((code) => [400, code, relogin] as const),
    [401, "invalid_grant", relogin],
    [403, "invalid_grant", relogin],
    [404, "invalid_grant", relogin],
    [400, "Invalid_Grant", refused("Invalid_Grant")],
    [400, "invalid_client", refused("invalid_client")],
    [401, "invalid_client", refused("invalid_client")],
    [403, "access_denied", refused("access_denied")],
    [404, "invalid_client", refused("invalid_client")],
    [404, "not_found_error", moved(404)],
    [200, "bad_verification_code", refused("bad_verification_code")],
    [400, undefined, refused()],
    [401, undefined, refused()],
    [403, undefined, refused()],
    [418, undefined, refused()],
    [499, undefined, refused()],
    [429, undefined, limited],
    [429, "invalid_grant", limited],
    [408, undefined, serverError],
    [408, "invalid_grant", serverError],
    [500, undefined, serverError],
    [500, "invalid_grant", serverError],
    [503, "invalid_client", serverError],
    [599, undefined, serverError],
    [400, "temporarily_unavailable", serverError],
    [400, "server_error", serverError],
    [300, undefined, moved(300)],
    [302, undefined, moved(302)],
    [399, undefined, moved(399)],
    [404, undefined, moved(404)],
    [405, undefined, moved(405)],
    [410, undefined, moved(410)],
    [200, undefined, Reason.Transient({ what: "malformed-answer" })],
    [204, undefined, Reason.Transient({ what: "malformed-answer" })],
  ] as const) {
    it(`makes of ${status} with ${code ?? "no code"}: ${messageOf(reason)}`, () => {
      assert.deepStrictEqual(classify(status, code, Option.none()), reason)
    })
  }

  it("passes on how long to wait, of a 429 only", () => {
    const retryAfter = Option.some(Duration.seconds(7))
    assert.deepStrictEqual(classify(429, undefined, retryAfter), Reason.RateLimited({ retryAfter }))
    assert.deepStrictEqual(classify(503, undefined, retryAfter), serverError)
  })

  it("asks for a new login only for a code that says so, under a status that is about the request", () => {
    const anyCode = fc.option(fc.oneof(fc.constantFrom(...reloginCodes), fc.string()), { nil: undefined })
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), anyCode, (status, code) => {
        const needed = classify(status, code, Option.none())._tag === "ReloginNeeded"
        const said = code !== undefined && reloginCodes.includes(code)
        assert.strictEqual(needed, said && status < 500 && status !== 408 && status !== 429)
      }),
    )
  })
})

describe("the message of a provider's failure", () => {
  for (const [reason, message] of [
    [relogin, "The provider hub does not accept the grant: a new login is needed."],
    [
      refused("invalid_client"),
      "The provider hub refused the request (invalid_client); check its client id, secret and scopes (tokenkeep provider show hub).",
    ],
    [
      refused(),
      "The provider hub refused the request; check its client id, secret and scopes (tokenkeep provider show hub).",
    ],
    [limited, "The provider hub asks for fewer requests."],
    [
      Reason.RateLimited({ retryAfter: Option.some(Duration.millis(1001)) }),
      "The provider hub asks for fewer requests; try again in 2 s.",
    ],
    [
      Reason.Transient({ what: "unreachable" }),
      "The provider hub could not be reached; check the network, and its address (tokenkeep provider show hub).",
    ],
    [Reason.Transient({ what: "timeout" }), "The provider hub did not answer in time."],
    [serverError, "The provider hub has trouble of its own."],
    [
      Reason.Transient({ what: "malformed-answer" }),
      "The provider hub gave an answer that is not what the protocol asks for.",
    ],
    [
      moved(404),
      "The provider hub has nothing at the configured address (HTTP 404); check that (tokenkeep provider show hub).",
    ],
    [
      Reason.Misconfigured({ what: "it has no token endpoint" }),
      "The provider hub cannot be used as configured: it has no token endpoint.",
    ],
  ] as const) {
    it(`says: ${message}`, () => {
      assert.strictEqual(messageOf(reason), message)
    })
  }

  for (const code of [
    "\u001b[31minvalid_client",
    "invalid_client\n",
    "run this: curl evil.test",
    "<b>bold</b>",
    "évil",
    "\u202egnp",
    "a".repeat(65),
    "",
  ]) {
    it(`does not repeat the code ${JSON.stringify(code)}`, () => {
      assert.strictEqual(messageOf(classify(400, code, Option.none())), messageOf(refused()))
    })
  }

  it("repeats a code of at most 64 characters that looks like one", () => {
    const code = "invalid_Client.2-".padEnd(64, "x")
    assert.include(messageOf(classify(400, code, Option.none())), `(${code})`)
  })

  it("is of printable ASCII whatever code the provider sends", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), anyText(), (status, code) => {
        assert.match(messageOf(classify(status, code, Option.none())), /^[ -~]+$/)
      }),
    )
  })
})
