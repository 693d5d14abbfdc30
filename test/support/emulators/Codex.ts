/**
 * OpenAI's authorization server, as the Codex CLI knows it: a code is exchanged with a form, all else is JSON. A device code
 * is two things, its pace is a text, and who waits for it is forbidden; what comes is a code, with the verifier of a challenge
 * that the server made itself. A refresh token is good once, and an error code may be in any of three places.
 */
import { createHash, randomBytes } from "node:crypto"
import { type Books, lacks, ok, type Reply, start } from "./Emulator.ts"
import { makeFamilies, type Pair } from "./Families.ts"

export const clientId = "app_EMoamEEZ73f0CkXaXp7hrann"
export const accountId = "00000000-0000-4000-8000-000000000003"
export const tenDays = 10 * 24 * 3600

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
export const jwt = (claims: unknown) => `${encoded({ alg: "RS256", typ: "JWT" })}.${encoded(claims)}.c2lnbmF0dXJl`

/** Where an error says its code. */
export type Place = "nested" | "text" | "beside"

export const refusal = (status: number, code: string, place: Place): Reply => {
  const nested = { message: "As OpenAI says it.", type: "invalid_request_error", param: null, code }
  const bodies = { nested: { error: nested }, text: { error: code }, beside: { code, message: "As OpenAI says it." } }
  return { status, body: bodies[place] }
}

export interface Options {
  /** What time it is there, in seconds. */
  readonly now: () => number
  readonly deviceCodes?: boolean
  /** How a poll is refused while nobody has entered the code. */
  readonly pending?: 403 | 404
  readonly userCodeField?: "user_code" | "usercode"
  readonly interval?: string
  /** Whether a refresh brings a new refresh token and ID token. */
  readonly rotates?: boolean
  readonly place?: Place
  readonly fedramp?: boolean
}

export const codex = (options: Options) =>
  start((books: Books, origin) => {
    const { deviceCodes = true, interval = "5", pending = 403, place = "nested", rotates = true } = options
    const families = makeFamilies(books)
    const verifiers = new Map<string, string>()
    const userCodes = new Map<string, string>()

    const auth = {
      chatgpt_account_id: accountId,
      chatgpt_plan_type: "pro",
      ...(options.fedramp === true && { chatgpt_account_is_fedramp: true }),
    }
    const tokens = ({ access, refresh }: Pair, whole: boolean) => {
      const iat = options.now()
      return ok({
        // The CLI does not look at `expires_in`, and it is wrong here.
        expires_in: 1,
        token_type: "bearer",
        access_token: jwt({ jti: access, iat, exp: iat + tenDays }),
        ...(whole && {
          refresh_token: refresh,
          id_token: jwt({ iat, email: "person@example.com", "https://api.openai.com/auth": auth }),
        }),
      })
    }
    const badRequest = refusal(400, "invalid_request", place)

    return {
      authorize: "/oauth/authorize",
      token: "/oauth/token",
      device: "/api/accounts/deviceauth/usercode",
      revoke: "/oauth/revoke",
      objects: (query) =>
        lacks(query, {
          response_type: "code",
          client_id: clientId,
          redirect_uri: /^http:\/\/localhost:\d+\/auth\/callback$/,
          scope: /^openid profile email offline_access$/,
          state: /^.{16,}$/,
          code_challenge: /^[\w-]{43}$/,
          code_challenge_method: "S256",
          id_token_add_organizations: "true",
          codex_cli_simplified_flow: "true",
          originator: /^\w+$/,
        }),
      answers: {
        "/oauth/token": ({ form, json }) => {
          if (form?.["grant_type"] === "authorization_code" && form["client_id"] === clientId) {
            return books.redeems(form)
              ? tokens(families.begin(), true)
              : refusal(400, "token_exchange_user_error", place)
          }
          if (json?.["grant_type"] !== "refresh_token" || json["client_id"] !== clientId) return badRequest
          const token = json["refresh_token"]
          // The old token stays good where there is no new one.
          if (!rotates && books.isRefreshToken(token)) return tokens({ access: "again", refresh: token ?? "" }, false)
          const next = families.refresh(token)
          if (next === "unknown") return refusal(401, "refresh_token_invalidated", place)
          return next === "reused" ? refusal(401, "refresh_token_reused", place) : tokens(next, true)
        },
        "/api/accounts/deviceauth/usercode": ({ json }) => {
          if (!deviceCodes) return { status: 404, body: "" }
          if (json?.["client_id"] !== clientId || Object.keys(json).length > 1) return badRequest
          const { deviceCode, userCode } = books.device()
          userCodes.set(deviceCode, userCode)
          return ok({ device_auth_id: deviceCode, [options.userCodeField ?? "user_code"]: userCode, interval })
        },
        "/api/accounts/deviceauth/token": ({ json }) => {
          const { device_auth_id = "", user_code, ...more } = json ?? {}
          const isKnown = user_code !== undefined && userCodes.get(device_auth_id) === user_code
          if (!isKnown || Object.keys(more).length > 0) return badRequest
          if (books.fateOf({ device_code: device_auth_id }) !== "granted") return { status: pending, body: "" }
          const verifier = randomBytes(48).toString("base64url")
          const challenge = createHash("sha256").update(verifier).digest("base64url")
          const code = books.code(`${origin()}/deviceauth/callback`, challenge)
          verifiers.set(code, verifier)
          return ok({ authorization_code: code, code_challenge: challenge, code_verifier: verifier })
        },
        "/oauth/revoke": ({ json }) => {
          const isRefreshToken = json?.["token_type_hint"] === "refresh_token"
          if (json?.["token"] === undefined || json["client_id"] !== (isRefreshToken ? clientId : undefined)) {
            return badRequest
          }
          books.end(json["token"])
          return ok({})
        },
      },
    }
  })
