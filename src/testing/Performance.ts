/**
 * How each behaviour is performed: whether the work of the call is done, and what the client gets to see of it.
 */
import { DateTime, Duration } from "effect"
import { Behaviour } from "./Behaviour.ts"
import { json, type Outcome, problem, type Reply } from "./Exchange.ts"
import type { Departure, Done } from "./Grants.ts"

export interface Performance {
  /** Undefined if nothing was done. */
  readonly done?: Done
  /** Undefined: the client waits for ever. */
  readonly outcome: Outcome | undefined
  readonly delay: Duration.Duration
}

/** Above the mebibyte that is as much as a client may be expected to read. */
const padding = "x".repeat(1024 * 1024 + 1)

const at = (outcome: Outcome | undefined, delay = Duration.zero): Performance => ({ outcome, delay })

const whole = (reply: Reply): Outcome => ({ _tag: "Whole", reply })

const after = (done: Done, outcome: Outcome, delay = Duration.zero): Performance => ({ done, outcome, delay })

/** As RFC 9110 section 5.6.7 has it. */
export const httpDate = (instant: DateTime.Utc): string => DateTime.toDateUtc(instant).toUTCString()

/** Performs a behaviour. `clock` is the time as the server believes it to be. */
export const perform = (
  behaviour: Behaviour,
  work: (departure: Departure) => Done,
  { clock, elsewhere }: { readonly clock: DateTime.Utc; readonly elsewhere: string },
): Performance => {
  /** What does the work and shows something else of it. */
  const disguised = (disguise: (reply: Reply) => Outcome): Performance => {
    const done = work({})
    return after(done, disguise(done.reply))
  }
  const departing = (departure: Departure): Performance => {
    const done = work(departure)
    return after(done, whole(done.reply))
  }
  return Behaviour.match(behaviour, {
    Ok: () => departing({}),
    Drop: () => disguised(() => ({ _tag: "Dropped" })),
    DropBefore: () => at({ _tag: "Dropped" }),
    Slow: ({ delay }) => ({ ...departing({}), delay }),
    Hang: () => at(undefined),
    TooManyRequests: ({ form, retryAfter }) => {
      const seconds = String(Math.ceil(Duration.toSeconds(retryAfter)))
      const date = httpDate(DateTime.addDuration(clock, retryAfter))
      return at(whole(problem("slow_down", 429, { "retry-after": form === "date" ? date : seconds })))
    },
    Status: ({ error, status }) => at(whole(error === undefined ? json(status, {}) : problem(error, status))),
    InvalidJson: () => disguised((reply) => whole({ ...reply, body: reply.body.slice(0, reply.body.length / 2) })),
    Oversized: () =>
      disguised((reply) => whole({ ...reply, body: `${reply.body.slice(0, -1)},"padding":"${padding}"}` })),
    Truncated: () => disguised((reply) => ({ _tag: "Truncated", reply })),
    Redirect: () => at(whole(json(307, {}, { location: elsewhere }))),
    OmitRefreshToken: () => departing({ rotation: "keep" }),
    ExpiresIn: ({ value }) => departing({ expiresIn: value === undefined ? {} : { value } }),
    Literal: ({ answer }) => at(whole(json(answer.status, answer.body, answer.headers))),
  })
}
