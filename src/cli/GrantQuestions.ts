/**
 * Puts the questions of grants to whoever runs `tokenkeep serve --ask`: on its terminal, one at a time, answered with a
 * key; or, where there is none, in the log, with what to type.
 */
import { Console, Data, Effect, Option, PubSub, Queue, Stdio, Terminal } from "effect"
import { type Decision, inWords, type Question } from "../domain/Question.ts"
import { Questions } from "../server/Questions.ts"
import { wordsFor } from "./Approve.ts"

/** The person wants the server to end: while keys are read the terminal does not say so by itself. */
export class ServerStopped extends Data.TaggedError("ServerStopped")<{}> {}

const keys: { readonly [key: string]: Decision } = { o: "once", r: "run", a: "always", n: "no" }

/** Keys that come sooner were typed before the question could be read. */
const readingTime = "500 millis"

/** Puts questions as they come, until the person ends it. */
export const run: Effect.Effect<never, ServerStopped, Questions | Stdio.Stdio | Terminal.Terminal> = Effect.gen(
  function* () {
    const questions = yield* Questions
    const { stderrIsTerminal, stdinIsTerminal } = yield* Stdio.Stdio
    const hasTerminal = (yield* stdinIsTerminal) && (yield* stderrIsTerminal)
    const asked = yield* questions.asked
    return yield* PubSub.take(asked).pipe(Effect.flatMap(hasTerminal ? put : note), Effect.forever)
  },
).pipe(Effect.scoped)

const note = (question: Question) =>
  Effect.logWarning(
    `${inWords(question)}. Answer with: tokenkeep approve ${question.id} once (or run, always, no); see tokenkeep approve`,
  )

const put = Effect.fnUntraced(function* (question: Question) {
  const questions = yield* Questions
  const isOpen = (yield* questions.list).some(({ id }) => id === question.id)
  if (!isOpen) return
  yield* Console.error(`${inWords(question)}: [o]nce, [r]un, [a]lways, [n]o?`)
  const elsewhere = Effect.as(questions.closed(question.id), Option.none<Decision>())
  const decision = yield* Effect.raceFirst(Effect.asSome(answer), elsewhere)
  if (Option.isNone(decision)) return yield* Console.error("Answered elsewhere, or given up.")
  yield* questions.decide(question.id, decision.value).pipe(
    Effect.andThen(Console.error(`Answered: ${wordsFor[decision.value]}.`)),
    Effect.catchTag("QuestionNotFound", ({ message }) => Console.error(message)),
  )
})

/** Raw keys do not interrupt by themselves. */
const checked = (typed: Terminal.UserInput) =>
  typed.key.ctrl && typed.key.name === "c" ? Effect.fail(new ServerStopped()) : Effect.succeed(typed)

/** What a person typed; nothing if the terminal takes it for the end of what is typed, though it means nothing here. */
const key = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const input = yield* terminal.readInput
  yield* Effect.sleep(readingTime)
  yield* Effect.flatMap(Queue.clear(input), Effect.forEach(checked))
  while (true) {
    const { key } = yield* Effect.flatMap(Queue.take(input), checked)
    const decision = key.ctrl || key.meta ? undefined : keys[key.name]
    if (decision !== undefined) return decision
    if (key.name === "escape") return undefined
  }
}).pipe(
  Effect.scoped,
  // Nobody can type anything any more; tokenkeep approve still can.
  Effect.catchTag("Done", () => Effect.never),
)

/** The answer that a person types. */
const answer = Effect.gen(function* () {
  while (true) {
    const decision = yield* key
    if (decision !== undefined) return decision
  }
})
