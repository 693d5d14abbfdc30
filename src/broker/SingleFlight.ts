/**
 * At most one piece of work per key at a time; whoever asks meanwhile gets the same answer.
 *
 * The work belongs to the scope in which this was made, not to the first asker: interrupting one who waits, even the first,
 * cancels nothing.
 */
import { Deferred, Effect, Exit, MutableHashMap, Option } from "effect"

/** Work that may give its answer before it is at its end. */
export type Work<A, E> = (answer: (value: A) => void) => Effect.Effect<A, E>

export const make = <K, A, E>() =>
  Effect.map(Effect.scope, (scope) => {
    const inFlight = MutableHashMap.empty<K, Deferred.Deferred<A, E>>()

    /** Joins the work on the key that has not answered yet, or begins. */
    return (key: K, work: Work<A, E>): Effect.Effect<A, E> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const running = MutableHashMap.get(inFlight, key)
          if (Option.isSome(running)) return yield* restore(Deferred.await(running.value))
          const result = Deferred.makeUnsafe<A, E>()
          MutableHashMap.set(inFlight, key, result)
          const settle = (exit: Exit.Exit<A, E>) => {
            if (Deferred.isDoneUnsafe(result)) return
            // In this order: who is woken may ask again at once, and must not be given this answer.
            MutableHashMap.remove(inFlight, key)
            Deferred.doneUnsafe(result, exit)
          }
          const fiber = yield* work((value) => settle(Exit.succeed(value))).pipe(
            Effect.interruptible,
            Effect.forkIn(scope),
          )
          fiber.addObserver(settle)
          return yield* restore(Deferred.await(result))
        }),
      )
  })
