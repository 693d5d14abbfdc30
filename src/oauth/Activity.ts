/**
 * A grant that arrives by itself, by polling or by a visit of the browser, while others ask how it goes.
 */
import { Effect, Latch } from "effect"

/** Whether something decisive is under way, so that an answer is worth waiting for. */
export interface Activity {
  /** Returns when nothing is under way. */
  readonly idle: Effect.Effect<void>
  /** Marks `effect` as under way; if it succeeds, what follows still is. */
  readonly during: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const makeActivity: Effect.Effect<Activity> = Effect.sync(() => {
  const latch = Latch.makeUnsafe(true)
  return {
    idle: Latch.await(latch),
    during: (effect) =>
      Latch.close(latch).pipe(
        Effect.andThen(effect),
        Effect.onError(() => Latch.open(latch)),
      ),
  }
})
