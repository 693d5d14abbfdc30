/**
 * A terminal whose keys a test presses. Like the real one it stops reading at Escape, Ctrl-C and Ctrl-D.
 */
import { type Cause, Effect, Option, Queue, Terminal } from "effect"
import { settle } from "./Refreshing.ts"

export const make = ({ columns = 80, rows = 24 } = {}) => {
  let input: Queue.Queue<Terminal.UserInput, Cause.Done> | undefined
  const terminal = Terminal.make({
    columns: Effect.succeed(columns),
    rows: Effect.succeed(rows),
    size: Effect.die("not asked for"),
    readInput: Effect.acquireRelease(
      Effect.tap(Queue.make<Terminal.UserInput, Cause.Done>(), (queue) =>
        Effect.sync(() => {
          input = queue
        }),
      ),
      () =>
        Effect.sync(() => {
          input = undefined
        }),
    ),
    readLine: Effect.die("not asked for"),
    display: () => Effect.die("nothing but answers goes to stdout"),
  })
  return {
    terminal,
    isRead: () => input !== undefined,
    /** Presses a key; what nobody reads is lost. */
    press: (name: string, ctrl = false, text = name) =>
      Effect.andThen(
        Effect.sync(() => {
          if (input === undefined) return
          Queue.offerUnsafe(input, { input: Option.some(text), key: { name, ctrl, meta: false, shift: false } })
          if (name === "escape" || (ctrl && ["c", "d"].includes(name))) Queue.endUnsafe(input)
        }),
        settle,
      ),
  }
}

/** A terminal at which these keys have been pressed, and no others will be; the key `c` with Ctrl. */
export const pressed = (keys: ReadonlyArray<string>) =>
  Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Queue.make<Terminal.Size, Cause.Done>(),
    readInput: Effect.gen(function* () {
      const queue = yield* Queue.make<Terminal.UserInput, Cause.Done>()
      for (const name of keys) {
        Queue.offerUnsafe(queue, {
          input: Option.some(name),
          key: { name, ctrl: name === "c", meta: false, shift: false },
        })
      }
      Queue.endUnsafe(queue)
      return queue
    }),
    readLine: Effect.die("not asked for"),
    display: () => Effect.die("nothing but answers goes to stdout"),
  })
