/**
 * GitHub with Copilot: a GitHub token is traded for a Copilot token, as often as one likes, with a GET. Copilot's token is no
 * JWT and says where the API is; whoever may not have one is told why, in one of two shapes.
 */
import { ok, type Reply, start } from "./Emulator.ts"
import * as GitHub from "./GitHub.ts"

export const clientId = "Iv1.b507a08c87ecfe98"
export const path = "/copilot_internal/v2/token"

export interface Options {
  readonly now: () => number
  readonly interval?: number
  /** Whether GitHub's tokens expire, and are refreshed. */
  readonly expiring?: boolean
  /** Whether the answer says where the API is; the token does in any case. */
  readonly endpoints?: boolean
}

const message = (status: number, text: string, headers: Reply["headers"] = {}): Reply => ({
  status,
  body: { message: text, documentation_url: "https://docs.github.com/rest", status: String(status) },
  headers,
})

/** No subscription, or a policy. */
export const notEntitled = (notificationId: string): Reply => ({
  status: 403,
  body: {
    can_signup_for_limited: false,
    message: "Resource not accessible by integration",
    error_details: {
      notification_id: notificationId,
      title: "As GitHub says it.",
      message: "As GitHub says it.",
      url: "https://github.com",
    },
  },
})
export const otherApp = message(404, "Not Found")
export const tooMany = message(403, "API rate limit exceeded for user ID 1. If you reach out to GitHub Support…")
/** GitHub says it in other words too; then its headers do. */
export const tooManySaid = (headers: Reply["headers"]) =>
  message(403, "You have exceeded a secondary rate limit.", headers)

export const copilot = ({ endpoints = true, expiring = false, interval = 5, now }: Options) =>
  start((books, origin) => {
    let count = 0
    const at = GitHub.login(books, origin, { clientId, expiring, interval, scope: "read:user" })
    return {
      ...at,
      answers: {
        ...at.answers,
        [`GET ${path}`]: ({ body, headers }) => {
          const [scheme, token] = (headers.get("authorization") ?? "").split(" ")
          if (body !== "" || scheme !== "token" || !books.isAccessToken(token)) return message(401, "Bad credentials")
          count += 1
          const expiresAt = now() + 1800
          return ok({
            token: `tid=trade-${count};exp=${expiresAt};sku=monthly_subscriber;proxy-ep=proxy.individual.githubcopilot.com;chat=1:mac`,
            expires_at: expiresAt,
            refresh_in: 1500,
            sku: "monthly_subscriber",
            individual: true,
            chat_enabled: true,
            ...(endpoints && {
              endpoints: {
                api: "https://api.business.githubcopilot.com",
                proxy: "https://proxy.business.githubcopilot.com",
              },
            }),
          })
        },
      },
    }
  })
