/**
 * The token endpoint: what the RFCs ask of it ({@link Grants}), played as the script has it, and noted.
 */
import { DateTime, Duration, Effect } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Base64Url, Hex } from "effect/encoding"
import { type Behaviour, ok, redirect, type Step } from "./Behaviour.ts"
import { type Asked, json, type Outcome, type Reply } from "./Exchange.ts"
import * as Grants from "./Grants.ts"
import { type Call, grantTypeOf } from "./Journal.ts"
import { perform } from "./Performance.ts"
import type { Policy } from "./Policy.ts"

export interface Parts extends Grants.Parts {
  readonly policy: () => Policy
  /** What is still to be played; taken from the front. */
  readonly script: Array<Step>
  readonly idTokens: boolean
  readonly note: (call: Call) => Effect.Effect<void>
  /** Where {@link redirect} leads. */
  readonly elsewhere: string
}

/** Takes the next step, if it is for a call of this grant type. A step for refreshes waits for one. */
const take = (script: Array<Step>, grantType: Call["grantType"]): Behaviour => {
  const [next] = script
  if (next === undefined || (next._tag !== "AnyCall" && grantType !== "refresh_token")) return ok
  script.shift()
  return next._tag === "AnyCall" ? next.behaviour : next
}

const answeredBy = (outcome: Outcome | undefined): Call["answered"] => {
  if (outcome === undefined) return "hanging"
  return outcome._tag === "Dropped" ? "dropped" : outcome.reply.status
}

/** Serves the token endpoint, and the place that a redirect leads to. */
export const make = Effect.fnUntraced(function* (parts: Parts) {
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const grant = Grants.make(parts)

  /** New texts, whether or not they are issued. */
  const draw = Effect.map(random.randomBytes(48), (bytes): Grants.TokenRequest["fresh"] => ({
    accessToken: `access-${Hex.encode(bytes.subarray(0, 16))}`,
    refreshToken: `refresh-${Hex.encode(bytes.subarray(16, 32))}`,
    idToken: parts.idTokens ? `id-${Hex.encode(bytes.subarray(32))}` : undefined,
  }))

  const challengeOf = Effect.fnUntraced(function* (verifier: string | null) {
    if (verifier === null) return ""
    parts.keepSecret("verifier", verifier)
    return Base64Url.encode(yield* digest.digest(Digest.sha256, new TextEncoder().encode(verifier)))
  })

  const serve = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Outcome> {
    const parameters = new URLSearchParams(asked.body)
    const challenge = yield* challengeOf(parameters.get("code_verifier"))
    const fresh = yield* draw
    const at = yield* DateTime.now
    // Nothing is awaited from here until the call is noted.
    const policy = parts.policy()
    const request = { asked, parameters, challenge, fresh, policy, now: DateTime.toEpochMillis(at) }
    const grantType = grantTypeOf(parameters.get("grant_type"))
    const behaviour = take(parts.script, grantType)
    const { delay, done, outcome } = perform(behaviour, (departure) => grant(request, departure), {
      clock: DateTime.addDuration(at, policy.clockSkew),
      elsewhere: parts.elsewhere,
    })
    const { issued, presented } = done ?? {}
    yield* parts.note({
      at,
      grantType,
      behaviour,
      answered: answeredBy(outcome),
      ...(presented !== undefined && { presented }),
      ...(issued !== undefined && { issued }),
    })
    if (outcome === undefined) return yield* Effect.never
    if (!Duration.isZero(delay)) yield* Effect.sleep(delay)
    return outcome
  })

  /** Who comes here has followed a redirect with its grant in its hands. */
  const serveElsewhere = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Reply> {
    const grantType = grantTypeOf(new URLSearchParams(asked.body).get("grant_type"))
    yield* parts.note({ at: yield* DateTime.now, grantType, behaviour: redirect, answered: 404 })
    return json(404, {})
  })

  return { draw, serve, serveElsewhere }
})
