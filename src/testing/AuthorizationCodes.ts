/**
 * The authorization endpoint and its codes (RFC 6749 section 4.1 with PKCE S256, RFC 7636).
 *
 * A code is good for one attempt; who brings it a second time ends the login that came of it.
 */
import { Duration, Option, Result } from "effect"
import * as SecureUrl from "../oauth/SecureUrl.ts"

/** What a person says to a client's request. */
export type Will = "grants" | "denies"

type Code =
  | {
      readonly _tag: "Open"
      readonly challenge: string
      readonly redirectUri: string
      readonly expiresAt: number
    }
  | { readonly _tag: "Used"; readonly family: number | undefined }

/** RFC 6749 section 4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED." */
const lifetime = Duration.toMillis("10 minutes")

export const make = (issuer: string, clientId: string) => {
  const codes = new Map<string, Code>()

  return {
    /** Where the browser is sent with the person's answer, or why it cannot be sent back at all. */
    authorize: (asked: URLSearchParams, will: Will, code: string, now: number): Result.Result<string, string> => {
      const redirect = SecureUrl.parse(asked.get("redirect_uri") ?? "")
      // RFC 6749 section 4.1.2.1: these two are told to the person, and the browser is sent nowhere.
      if (Option.isNone(redirect)) return Result.fail("The redirect_uri is missing, or is neither https nor loopback.")
      if (asked.get("client_id") !== clientId) return Result.fail("The client_id is not known.")
      const back = redirect.value
      const error = will === "denies" ? "access_denied" : fault(asked)
      if (error === undefined) {
        codes.set(code, {
          _tag: "Open",
          challenge: asked.get("code_challenge") ?? "",
          redirectUri: asked.get("redirect_uri") ?? "",
          expiresAt: now + lifetime,
        })
      }
      const answer = error === undefined ? { code } : { error }
      const state = asked.get("state")
      const parameters = { ...answer, ...(state !== null && { state }), iss: issuer }
      for (const [key, value] of Object.entries(parameters)) back.searchParams.set(key, value)
      return Result.succeed(back.href)
    },

    /** Takes a code. `challenge` is the S256 of the verifier that came with it. */
    take: (
      parameters: URLSearchParams,
      challenge: string,
      now: number,
    ):
      | { readonly _tag: "Good"; readonly usedFor: (family: number) => void }
      | { readonly _tag: "Bad"; readonly endsFamily: number | undefined } => {
      const text = parameters.get("code") ?? ""
      const code = codes.get(text)
      if (code === undefined) return { _tag: "Bad", endsFamily: undefined }
      if (code._tag === "Used") return { _tag: "Bad", endsFamily: code.family }
      codes.set(text, { _tag: "Used", family: undefined })
      const good =
        code.challenge === challenge && code.redirectUri === parameters.get("redirect_uri") && now < code.expiresAt
      return good
        ? { _tag: "Good", usedFor: (family) => void codes.set(text, { _tag: "Used", family }) }
        : { _tag: "Bad", endsFamily: undefined }
    },
  }
}

const fault = (asked: URLSearchParams): string | undefined => {
  if (asked.get("response_type") !== "code") return "unsupported_response_type"
  const hasChallenge = asked.get("code_challenge_method") === "S256" && asked.get("code_challenge") !== null
  return hasChallenge ? undefined : "invalid_request"
}

export type AuthorizationCodes = ReturnType<typeof make>
