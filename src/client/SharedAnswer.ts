/**
 * One answer for all who ask at a time: a host answers only so many questions in a second, and a program may send hundreds of
 * requests at once.
 *
 * Nobody is given an answer to a question that was asked before theirs: it could be older than what they know.
 */
import { Effect, type Result, Semaphore } from "effect"

export const make = <A, E>() =>
  Effect.map(Semaphore.make(1), (oneAtATime) => {
    let asked = 0
    let answer: Result.Result<A, E> | undefined
    return {
      /** How many questions were asked until now. */
      asked: () => asked,
      /** The answer to a question that was asked after so many others, or to this one. */
      after: (since: number, question: Effect.Effect<A, E>) =>
        Effect.gen(function* () {
          if (answer === undefined || asked === since) {
            asked++
            // If this is interrupted, the next one asks again.
            answer = undefined
            answer = yield* Effect.result(question)
          }
          return yield* Effect.fromResult(answer)
        }).pipe(oneAtATime.withPermit),
    }
  })
