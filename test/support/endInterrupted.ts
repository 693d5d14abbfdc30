import { Effect, Exit, Fiber, Scope } from "effect"

/** Closes a scope as a program does that was told to stop: in a fiber that has been interrupted. */
export const endInterrupted = (scope: Scope.Closeable) =>
  Effect.gen(function* () {
    const program = yield* Effect.forkChild(
      Effect.onExit(Effect.never, () => Scope.close(scope, Exit.void)),
      {
        startImmediately: true,
      },
    )
    yield* Fiber.interrupt(program)
  })
