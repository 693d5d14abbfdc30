/**
 * GitHub: a request that does not ask for JSON is answered with a form, a refusal has status 200, and numbers may be text.
 * Tokens of an app that lets them expire are refreshed with one that is good once.
 */
import { type Asked, type Books, ok, type Reply, start } from "./Emulator.ts"

export const clientId = "Iv1.0123456789abcdef"

export interface Options {
  readonly clientId?: string
  /** Whether tokens expire; as texts, if so. */
  readonly expiring?: boolean
  readonly scope?: string
  readonly interval?: number
}

/** As it is written for whoever asks. */
const written = ({ headers }: Asked, reply: Reply): Reply => {
  const { body } = reply
  if (headers.get("accept")?.includes("application/json") === true || typeof body !== "object" || body === null) {
    return reply
  }
  const pairs = Object.entries(body).map(([name, value]) => [name, String(value)])
  return {
    ...reply,
    body: new URLSearchParams(Object.fromEntries(pairs)).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  }
}

/** GitHub's way to refuse. */
export const refusal = (error: string, more: object = {}): Reply =>
  ok({ error, error_description: "As GitHub says it.", error_uri: "https://docs.github.com", ...more })

/** What it answers where it lets people log in. */
export const login = (books: Books, origin: () => string, options: Options) => {
  const { expiring = false, interval = 5, scope = "" } = options
  const tokens = () => {
    const { access, refresh } = books.issue()
    return ok({
      access_token: access,
      token_type: "bearer",
      scope,
      ...(expiring && { expires_in: "28800", refresh_token: refresh, refresh_token_expires_in: "15811200" }),
    })
  }

  const device = ({ form, json }: Asked): Reply => {
    const { client_id } = form ?? json ?? {}
    if (client_id !== (options.clientId ?? clientId)) return { status: 404, body: { error: "Not Found" } }
    const { deviceCode, userCode } = books.device()
    return ok({
      device_code: deviceCode,
      user_code: userCode,
      verification_uri: `${origin()}/login/device`,
      expires_in: 900,
      interval,
    })
  }

  const token = ({ form, json }: Asked): Reply => {
    const asked = form ?? json ?? {}
    if (asked["client_id"] !== (options.clientId ?? clientId)) return refusal("incorrect_client_credentials")
    if (asked["grant_type"] === "refresh_token") {
      return books.end(asked["refresh_token"]) ? tokens() : refusal("bad_refresh_token")
    }
    if (asked["grant_type"] !== "urn:ietf:params:oauth:grant-type:device_code") return refusal("unsupported_grant_type")
    switch (books.fateOf(asked)) {
      case "pending":
        return refusal("authorization_pending")
      case "denied":
        return refusal("access_denied")
      case "granted":
        return tokens()
      case "expired":
        return refusal("expired_token")
      default:
        return refusal("incorrect_device_code")
    }
  }

  return {
    authorize: "/login/oauth/authorize",
    token: "/login/oauth/access_token",
    device: "/login/device/code",
    objects: () => "nobody is sent to this page",
    answers: {
      "/login/device/code": (asked: Asked) => written(asked, device(asked)),
      "/login/oauth/access_token": (asked: Asked) => written(asked, token(asked)),
    },
  }
}

export const github = (options: Options = {}) => start((books, origin) => login(books, origin, options))
