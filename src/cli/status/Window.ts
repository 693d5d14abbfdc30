/**
 * The window that stdout is shown in, for what is drawn again and again.
 */
import { Context, Effect } from "effect"

export interface Shape {
  readonly rows: () => number
  /** Returns when it has another size. */
  readonly resized: Effect.Effect<void>
  /** Returns when nobody reads what is printed any more. */
  readonly closed: Effect.Effect<void>
}

const once = (event: "resize" | "close") =>
  Effect.callback<void>((resume) => {
    const listener = () => resume(Effect.void)
    process.stdout.once(event, listener)
    return Effect.sync(() => process.stdout.off(event, listener))
  })

export class Window extends Context.Reference<Shape>("tokenkeep/cli/status/Window", {
  defaultValue: () => ({ rows: () => process.stdout.rows ?? 24, resized: once("resize"), closed: once("close") }),
}) {}
