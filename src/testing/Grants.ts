/**
 * What the RFCs ask of a token endpoint, for each grant type. Synchronous from the first look to the issued tokens.
 */
import { Duration, Option, type Schema } from "effect"
import type { AuthorizationCodes, Will } from "./AuthorizationCodes.ts"
import { type Client, refusal } from "./ClientAuthentication.ts"
import type { DeviceCodes } from "./DeviceCodes.ts"
import { type Asked, json, problem, type Reply } from "./Exchange.ts"
import type { Policy } from "./Policy.ts"
import type { Fresh, Issued, Numbered, Presented, TokenFamilies } from "./TokenFamilies.ts"

/** The state of the server, as far as grants change it. */
export interface Parts {
  readonly client: Client
  readonly codes: AuthorizationCodes
  readonly devices: DeviceCodes
  readonly families: TokenFamilies
  readonly person: Will | "absent"
  readonly keepSecret: (kind: string, value: string) => void
}

/** A token request, and what may come of it. */
export interface TokenRequest {
  readonly asked: Asked
  readonly parameters: URLSearchParams
  /** The S256 of the code verifier. */
  readonly challenge: string
  readonly fresh: Fresh & { readonly idToken: string | undefined }
  readonly policy: Policy
  readonly now: number
}

/** Where an answer departs from what is true. */
export interface Departure {
  readonly rotation?: "keep"
  readonly expiresIn?: { readonly value?: Schema.Json }
}

/** The work of one call, done. */
export interface Done {
  readonly reply: Reply
  readonly presented?: Presented
  readonly issued?: Numbered
}

const refused = (error: string): Done => ({ reply: problem(error) })

export const make = ({ client, codes, devices, families, keepSecret, person }: Parts) => {
  const granted = (request: TokenRequest, issued: Issued, { expiresIn }: Departure): Done => {
    const { accessToken, numbered, refreshToken } = issued
    const { idToken } = request.fresh
    if (refreshToken !== undefined) keepSecret("refresh", refreshToken)
    if (idToken !== undefined) keepSecret("id", idToken)
    const lifetime = expiresIn === undefined ? Duration.toSeconds(request.policy.accessTokenLifetime) : expiresIn.value
    const reply = json(200, {
      access_token: accessToken,
      token_type: "Bearer",
      account_id: "account-1",
      ...(lifetime !== undefined && { expires_in: lifetime }),
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
      ...(idToken !== undefined && { id_token: idToken }),
    })
    return { reply, issued: numbered }
  }

  const byCode = (request: TokenRequest, departure: Departure): Done => {
    const code = codes.take(request.parameters, request.challenge, request.now)
    if (code._tag === "Bad") {
      // RFC 6749 section 4.1.2: of a code used twice one use was a thief's, so what it brought "SHOULD" be revoked.
      if (code.endsFamily !== undefined) families.revoke(code.endsFamily)
      return refused("invalid_grant")
    }
    const issued = families.begin(request.fresh, request.policy, request.now)
    code.usedFor(issued.numbered.family)
    return granted(request, issued, departure)
  }

  const byDevice = (request: TokenRequest, departure: Departure): Done => {
    const outcome = devices.poll(request.parameters.get("device_code") ?? "", person, request.now)
    if (outcome !== "granted") return refused(outcome)
    return granted(request, families.begin(request.fresh, request.policy, request.now), departure)
  }

  const byRefreshToken = (request: TokenRequest, departure: Departure): Done => {
    const terms = { ...request.policy, ...(departure.rotation !== undefined && { rotation: departure.rotation }) }
    const text = request.parameters.get("refresh_token") ?? ""
    const [presented, issued] = families.redeem(text, request.fresh, terms, request.now)
    const done = issued === undefined ? refused("invalid_grant") : granted(request, issued, departure)
    return { ...done, presented }
  }

  return (request: TokenRequest, departure: Departure): Done => {
    const { asked, parameters } = request
    if (!/^application\/x-www-form-urlencoded\b/i.test(asked.contentType ?? "")) return refused("invalid_request")
    // RFC 6749 section 3.2: "Request and response parameters MUST NOT be included more than once."
    if (new Set(parameters.keys()).size !== parameters.size) return refused("invalid_request")
    const unauthenticated = refusal(asked, parameters, client)
    if (Option.isSome(unauthenticated)) return { reply: unauthenticated.value }
    switch (parameters.get("grant_type")) {
      case "authorization_code":
        return byCode(request, departure)
      case "urn:ietf:params:oauth:grant-type:device_code":
        return byDevice(request, departure)
      case "refresh_token":
        return byRefreshToken(request, departure)
      case null:
        return refused("invalid_request")
      default:
        return refused("unsupported_grant_type")
    }
  }
}
