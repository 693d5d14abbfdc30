/**
 * GitHub Copilot: a login at GitHub, whose token is traded for the one of Copilot again and again. GitHub's is our refresh
 * token, the trade is our refresh, and nothing rotates.
 *
 * Some GitHub tokens expire after 8 hours, and come with a refresh token of GitHub's that is good once (apache/maka#3390).
 * Then our refresh token is both, with a space between: once the trade is refused, the GitHub token is refreshed, and the
 * new one traded.
 *
 * The trade, what it answers and how it refuses are in microsoft/vscode-copilot-chat `src/platform/authentication/`
 * (`node/copilotTokenManager.ts`, `common/copilotToken.ts`); the login, with that client and without pretending to be an
 * editor, in zed-industries/zed `crates/copilot_chat/src/copilot_oauth.rs`; the API's address out of the token in
 * earendil-works/pi `packages/ai/src/utils/oauth/github-copilot.ts`.
 *
 * On trust: that a 404 means an app that is not entitled (copilot-gpt4-service#293); that GitHub says
 * 401 of a token that has expired, and refreshes it without a secret; that the API takes an `Editor-Version` that it does not know. It refuses
 * requests without one (alvinunreal/tmuxai#144), and without an integration id it knows.
 *
 * GitHub Enterprise: `"extends": "copilot"` with its own `endpoints` and `api`.
 */
import { DateTime, Option } from "effect"
import type { Dialect, VendorAnswer, VendorRequest } from "../oauth/Dialect.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { objectIn, textIn } from "../oauth/JsonObject.ts"
import type { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { version } from "../version.ts"

/** The trade of a login's GitHub token for a Copilot token, if the record says where; `asked` is what it is traded for. */
const trade = (
  login: string,
  { endpoints }: ProviderRecord,
  asked: VendorRequest["parameters"] = {},
): VendorRequest | undefined =>
  endpoints?.secondExchange === undefined
    ? undefined
    : {
        call: "refresh",
        method: "GET",
        url: endpoints.secondExchange,
        headers: {
          accept: "application/json",
          authorization: `token ${login.split(" ")[0]}`,
          "x-github-api-version": "2025-04-01",
        },
        encoding: "form",
        parameters: { ...asked, refresh_token: login },
      }

/** The login in an answer of GitHub's token endpoint, if there is one. */
const loginIn = ({ access_token, refresh_token }: VendorAnswer["body"]) => {
  const githubToken = textIn(access_token)
  const renewal = textIn(refresh_token)
  return githubToken === undefined || renewal === undefined ? githubToken : `${githubToken} ${renewal}`
}

/** What refreshes the GitHub token that was refused, if it can be: neither one that is new, nor one that came alone. */
const renewal = ({ parameters }: VendorRequest, { endpoints }: ProviderRecord): VendorRequest | undefined => {
  const [, refreshToken] = parameters["refresh_token"]?.split(" ") ?? []
  return parameters["grant_type"] !== "refresh_token" || refreshToken === undefined || endpoints?.token === undefined
    ? undefined
    : {
        call: "refresh",
        method: "POST",
        url: endpoints.token,
        headers: { accept: "application/json" },
        encoding: "form",
        parameters: { ...parameters, refresh_token: refreshToken },
      }
}

/** The refresh token that was sent is spent: what came instead is kept, whatever becomes of the trade. */
const renewed = (answer: VendorAnswer, record: ProviderRecord): VendorAnswer | VendorRequest => {
  const login = loginIn(answer.body)
  const next = login === undefined ? undefined : trade(login, record)
  return login === undefined || next === undefined
    ? refused(answer)
    : { ...next, otherwise: { status: 200, headers: {}, body: { refresh_token: login } } }
}

/** The token names a proxy, beside which is the API: `tid=…;proxy-ep=proxy.individual.githubcopilot.com;…`. */
const apiIn = (token: string) => {
  const [, host] = /(?:^|;)proxy-ep=([A-Za-z0-9.-]+)(?:[;:]|$)/.exec(token) ?? []
  return host === undefined ? undefined : `https://${host.replace(/^proxy\./, "api.")}`
}

const traded = (answer: VendorAnswer, token: string, { parameters }: VendorRequest): VendorAnswer => {
  const { endpoints, refresh_in, sku } = answer.body
  const api = textIn(objectIn(endpoints)["api"]) ?? apiIn(token)
  return {
    ...answer,
    body: {
      access_token: token,
      token_type: "bearer",
      refresh_token: parameters["refresh_token"] ?? null,
      refresh_in,
      ...(api !== undefined && { api_base_url: api }),
      ...(typeof sku === "string" && { sku }),
    },
  }
}

/** GitHub says with a 403 that there were too many requests (its REST documentation, "Rate limits"), and until when. */
const isRateLimit = ({ body, headers }: VendorAnswer) =>
  headers["x-ratelimit-remaining"] === "0" ||
  headers["retry-after"] !== undefined ||
  (typeof body["message"] === "string" && body["message"].startsWith("API rate limit exceeded"))

const waiting = (headers: VendorAnswer["headers"]) => {
  const reset = DateTime.make(Number(headers["x-ratelimit-reset"]) * 1000)
  return headers["retry-after"] === undefined && Option.isSome(reset)
    ? { ...headers, "retry-after": DateTime.toDateUtc(reset.value).toUTCString() }
    : headers
}

const refused = (answer: VendorAnswer): VendorAnswer => {
  const notification = textIn(objectIn(answer.body["error_details"])["notification_id"])
  if (notification !== undefined) return { ...answer, body: { error: notification } }
  return answer.status === 403 && isRateLimit(answer)
    ? { ...answer, headers: waiting(answer.headers), body: { error: "rate_limited" } }
    : answer
}

const dialect: Dialect = {
  request: (request, record) => {
    const login = request.parameters["refresh_token"]
    if (request.call !== "refresh" || login === undefined) return request
    return trade(login, record, request.parameters) ?? request
  },
  answer: (answer, to, record) => {
    if (to.call === "poll") {
      const login = loginIn(answer.body)
      return (login === undefined ? undefined : trade(login, record)) ?? answer
    }
    if (to.call !== "refresh") return answer
    if (to.method === "POST") return renewed(answer, record)
    const token = textIn(answer.body["token"])
    if (token !== undefined && answer.status === 200) return traded(answer, token, to)
    return to.otherwise ?? (answer.status === 401 ? renewal(to, record) : undefined) ?? refused(answer)
  },
}

export const copilot: ProviderDefinition = {
  name: "copilot",
  dialect,
  record: {
    endpoints: {
      token: "https://github.com/login/oauth/access_token",
      deviceAuthorization: "https://github.com/login/device/code",
      secondExchange: "https://api.github.com/copilot_internal/v2/token",
    },
    clientId: "Iv1.b507a08c87ecfe98",
    scopes: ["read:user"],
    flows: ["device_code"],
    publicFields: ["api_base_url", "sku"],
    headers: { accept: "application/json" },
    errors: [
      { calls: ["refresh"], code: "bad_refresh_token", means: "relogin" },
      { calls: ["refresh"], status: 401, means: "relogin" },
      { calls: ["refresh"], status: 403, code: "rate_limited", means: "rate_limited" },
      { calls: ["refresh"], status: 403, means: "refused" },
      { calls: ["refresh"], status: 404, means: "refused" },
    ],
    expiry: "refresh_in",
    api: {
      baseUrl: "https://api.githubcopilot.com",
      baseUrlField: "api_base_url",
      hosts: ["*.githubcopilot.com"],
      headers: { "Copilot-Integration-Id": "vscode-chat", "Editor-Version": `tokenkeep/${version}` },
    },
    notice:
      "GitHub gives Copilot tokens to a few apps only, so this login is that of Copilot's editor extension: GitHub will name it, and requests name its integration id (vscode-chat). GitHub may refuse other uses.",
  },
}
