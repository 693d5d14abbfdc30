/**
 * `approve`: shows what grants have been asked for and do not allow, and answers.
 */
import { Console, DateTime, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { type Decision, inWords, type Question } from "../domain/Question.ts"
import { printable } from "../domain/RemoteText.ts"
import { Grants } from "../server/Grants.ts"
import { Json } from "./GlobalFlags.ts"
import { instant } from "./Instant.ts"
import * as HostGrants from "./grant/HostGrants.ts"
import * as DurationInWords from "./DurationInWords.ts"
import { UsageError } from "./UsageError.ts"

const decisions = ["once", "run", "always", "no"] as const

export const approve = Command.make(
  "approve",
  {
    id: Argument.String("id").pipe(
      Argument.withDescription("The question; without it all open questions are shown"),
      Argument.optional,
    ),
    decision: Argument.Literals("decision", decisions).pipe(
      Argument.withDescription(
        "once: this one request; run: until tokenkeep serve ends; always: as long as the grant is there; no: not again",
      ),
      Argument.optional,
    ),
    hostSocket: HostGrants.hostSocket,
  },
  Effect.fn("approve")(function* ({ decision, hostSocket, id }) {
    const work = Effect.gen(function* () {
      if (Option.isNone(id)) return yield* show
      if (Option.isSome(decision)) return yield* answer(id.value, decision.value)
      return yield* new UsageError({
        detail: `Say what to answer: tokenkeep approve ${printable(id.value)} ${decisions.join("|")}`,
      })
    })
    yield* Effect.provide(work, HostGrants.layer(hostSocket))
  }),
).pipe(
  Command.withDescription("Answer the requests that wait for you, with tokenkeep serve --ask"),
  Command.withExamples([{ command: "tokenkeep approve" }, { command: "tokenkeep approve 3fa2 once" }]),
)

const answer = Effect.fnUntraced(function* (id: string, decision: Decision) {
  const grants = yield* Grants
  const question = yield* grants.decide(id, decision)
  yield* Console.error(`${inWords(question)}: ${wordsFor[decision]}.`)
})

/** What an answer means. */
export const wordsFor: { readonly [decision in Decision]: string } = {
  once: "allowed once",
  run: "allowed until tokenkeep serve ends",
  always: "allowed as long as the grant is there",
  no: "refused, and not asked again until tokenkeep serve ends",
}

const show = Effect.gen(function* () {
  const grants = yield* Grants
  const questions = yield* grants.questions
  if (yield* Json) return yield* Console.log(ascii({ version: 1, questions: questions.map(shown) }))
  if (questions.length === 0) return yield* Console.error("Nobody waits for an answer.")
  const now = yield* DateTime.now
  for (const question of questions) {
    const since = DurationInWords.inWords(DateTime.distance(question.askedAt, now))
    yield* Console.log(`${question.id}  ${inWords(question)}, ${since} ago`)
  }
})

const shown = ({ askedAt, grant, id, label, wish }: Question) => ({
  id,
  grant,
  label,
  ...(wish._tag === "Account"
    ? { operation: wish.permission, account: wish.account.toString() }
    : { operation: "get_api_key", key: wish.name }),
  ...instant("askedAt", Option.some(askedAt)),
})
