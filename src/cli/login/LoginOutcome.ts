/**
 * Waits for what comes of a login: asks the host, takes what the person pastes, and says how long there still is.
 */
import { Data, DateTime, Effect, Option, Redacted, Result, Schedule, type Stdio, type Terminal } from "effect"
import { Broker, type InitiatedLogin } from "../../broker/Broker.ts"
import { SessionExpired } from "../../domain/Errors.ts"
import { Json } from "../GlobalFlags.ts"
import * as LiveLines from "./LiveLines.ts"
import * as LoginJson from "./LoginJson.ts"
import * as LoginScreen from "./LoginScreen.ts"
import { Words } from "./LoginWords.ts"
import * as LoopbackAnswer from "./LoopbackAnswer.ts"
import * as PastedLine from "./PastedLine.ts"
import { say } from "../ProgramName.ts"
import * as Screen from "../Screen.ts"
import type { ShownLogin } from "./ShownLogin.ts"
import { asClock, inWords } from "../DurationInWords.ts"
import { UsageError } from "../UsageError.ts"

/** How what is pasted arrives, if it can: key by key, or as lines on stdin. */
export type Input = "keys" | "lines" | "none"

type Line = Effect.Effect<Option.Option<string>, PastedLine.Stopped, Stdio.Stdio | Terminal.Terminal>

/** How it can arrive in this flow, here. */
export const inputFor = Effect.fnUntraced(function* ({ authUrl, flowType }: InitiatedLogin) {
  if (yield* Screen.isUnattended) return "none"
  const isForProgram = yield* Json
  const canAsk = yield* Screen.canAsk
  // What is on stdin otherwise may be for somebody else, but for the flow that cannot end without it.
  const isWanted =
    flowType === "pkce_redirect" ||
    (flowType === "browser_redirect" && LoopbackAnswer.isExpected(authUrl) && (canAsk || isForProgram))
  if (!isWanted) return "none"
  const { canRedraw } = yield* Screen.stderr
  return canAsk && canRedraw && !isForProgram ? "keys" : "lines"
})

/** The token that comes of it. */
export const wait = Effect.fnUntraced(function* (begun: InitiatedLogin, shown: ShownLogin, input: Input) {
  const waiting = yield* waitingFor(shown, input)
  const line: Line = input === "keys" ? PastedLine.fromKeys(waiting.pasted) : (yield* linesFor(input)).next
  const token = Effect.gen(function* () {
    if (begun.flowType === "pkce_redirect") return yield* exchange(begun, line)
    if (input === "none") return yield* poll(begun)
    return yield* Effect.raceFirst(poll(begun), bring(begun, shown, line, waiting.clear))
  })
  return yield* Effect.raceFirst(token, waiting.forever).pipe(Effect.ensuring(waiting.clear))
}, Effect.scoped)

const linesFor = (input: Input) =>
  input === "lines" ? PastedLine.fromLines : Effect.succeed({ next: Effect.succeedNone })

/** How often a program is told that it still waits. */
const tellPace = Schedule.spaced("1 minute")

/** Says what is waited for, and for how long still. */
const waitingFor = Effect.fnUntraced(function* (shown: ShownLogin, input: Input) {
  const words = yield* Words
  const look = yield* Screen.stderr
  const live = yield* LiveLines.make(look.columns)
  const left = Effect.map(DateTime.now, (now) => DateTime.distance(now, shown.expiresAt))
  const inLine = (time: string) => LoginScreen.waiting(shown, time, look, words)
  let characters = 0
  const draw = Effect.flatMap(left, (time) =>
    live.draw([inLine(asClock(time)), ...(input === "keys" ? [LoginScreen.pasting(characters, words)] : [])]),
  )
  const told = (yield* Json)
    ? Effect.repeat(
        Effect.flatMap(left, (time) => LoginJson.waiting(shown, time)),
        tellPace,
      )
    : look.canRedraw
      ? Effect.forever(Effect.andThen(draw, Effect.sleep("1 second")))
      : look.isTerminal
        ? say(inLine(inWords(shown.expiresIn)))
        : Effect.void
  return {
    forever: Effect.andThen(told, Effect.never),
    clear: live.clear,
    /** So much has been pasted. */
    pasted: (length: number) =>
      Effect.suspend(() => {
        characters = length
        return draw
      }),
  }
})

/** The host is still waiting for the person. */
export class StillPending extends Data.TaggedError("StillPending")<{}> {}

/** Asks again for as long as the host is waiting. Only the host asks the provider, so asking it often harms nobody. */
const pollPace = Schedule.spaced("1 second").pipe(
  Schedule.setInputType<{ readonly _tag: string }>(),
  Schedule.while(({ input }) => input._tag === "StillPending"),
)

const poll = Effect.fnUntraced(function* ({ sessionId }: InitiatedLogin) {
  const broker = yield* Broker
  return yield* broker.poll(sessionId).pipe(
    Effect.flatMap((progress) =>
      progress.status === "complete" ? Effect.succeed(progress.token) : Effect.fail(new StillPending()),
    ),
    Effect.retry(pollPace),
    Effect.catchTag("StillPending", () => Effect.die("polling never ends while it is pending")),
  )
})

const exchange = Effect.fnUntraced(function* ({ expiresIn, sessionId }: InitiatedLogin, line: Line) {
  const broker = yield* Broker
  const words = yield* Words
  const pasted = yield* Effect.timeoutOrElse(line, {
    duration: expiresIn,
    orElse: () => Effect.fail(SessionExpired.make({ sessionId })),
  })
  if (Option.isNone(pasted)) return yield* new UsageError({ detail: words.nothingPasted })
  return yield* broker.exchange(sessionId, Redacted.make(pasted.value))
})

/** Takes what is pasted to where the browser would have brought it. What comes of it, the host says. */
const bring = Effect.fnUntraced(function* (
  { authUrl }: InitiatedLogin,
  shown: ShownLogin,
  line: Line,
  clear: Effect.Effect<void>,
) {
  const words = yield* Words
  const isForProgram = yield* Json
  const look = yield* Screen.stderr
  const refuse = (message: string) =>
    isForProgram
      ? LoginJson.pasteRefused(shown, message)
      : Effect.andThen(clear, say(look.isTerminal ? [...LoginScreen.paragraph(message, look), ""].join("\n") : message))
  while (true) {
    const pasted = yield* line
    // Nobody pastes anything any more; the browser may still come.
    if (Option.isNone(pasted)) return yield* Effect.never
    const answer = LoopbackAnswer.parse(pasted.value, authUrl)
    if (Option.isNone(answer)) yield* refuse(words.notTheAnswer)
    else {
      const taken = yield* Effect.result(LoopbackAnswer.bring(answer.value))
      if (Result.isFailure(taken)) yield* refuse(words.notDelivered(answer.value.host))
      else if (!taken.success) yield* refuse(words.notTaken)
    }
  }
})
