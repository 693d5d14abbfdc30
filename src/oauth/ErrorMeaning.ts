/**
 * What an answer that is not a success means: as the provider's record has it, else by its status and code.
 */
import { type Duration, Option } from "effect"
import { type JsonObject, objectIn, textIn } from "./JsonObject.ts"
import { classify, Reason, shown } from "./ProviderFailure.ts"
import type { Call, ErrorRule, Meaning } from "./ProviderRecord.ts"

/** A refusal of a device code that is no failure (RFC 8628 section 3.5). */
export type DeviceWord = Extract<Meaning, "pending" | "slow_down" | "denied" | "expired">

/**
 * The error code in a body. RFC 6749 section 5.2 has it in `error`; OpenAI's and Anthropic's servers have an object there,
 * with a `code` or a `type`, and some have a `code` beside it.
 */
export const codeIn = ({ code, error }: JsonObject): Option.Option<string> => {
  const { code: inner, type } = objectIn(error)
  return Option.fromUndefinedOr(textIn(error) ?? textIn(inner) ?? textIn(code) ?? textIn(type))
}

const fits = (rule: ErrorRule, call: Call, status: number, code: string | undefined): boolean =>
  (rule.calls === undefined || rule.calls.includes(call)) &&
  (rule.status === undefined || rule.status === status) &&
  (rule.code === undefined || rule.code.toLowerCase() === code?.toLowerCase())

const deviceWords = new Map<string, DeviceWord>([
  ["authorization_pending", "pending"],
  ["slow_down", "slow_down"],
  ["access_denied", "denied"],
  ["expired_token", "expired"],
])

/** What a refusal means, in answer to such a call. */
export const meaningOf = (
  rules: ReadonlyArray<ErrorRule>,
  call: Call,
  {
    code: found,
    status,
    wait,
  }: {
    readonly status: number
    readonly code: Option.Option<string>
    /** What `Retry-After` asks for. */
    readonly wait: Option.Option<Duration.Duration>
  },
): DeviceWord | Reason => {
  const code = Option.getOrUndefined(found)
  const rule = rules.find((known) => fits(known, call, status, code))
  if (rule === undefined) {
    const word = call === "poll" && code !== undefined ? deviceWords.get(code) : undefined
    return word ?? classify(status, code, wait)
  }
  switch (rule.means) {
    case "relogin":
      return Reason.ReloginNeeded()
    case "refused":
      return Reason.NotEntitled({ code: shown(code) })
    case "rate_limited":
      return Reason.RateLimited({ retryAfter: wait })
    case "trouble":
      return Reason.Transient({ what: "server-error" })
    case "moved":
      return Reason.EndpointMoved({ status })
    default:
      return rule.means
  }
}
