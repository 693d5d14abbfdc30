/**
 * What the environment says about the terminal and the desktop. Whatever is wrong with it is no reason to fail.
 */
import { Config, Effect, Option } from "effect"

/** The text of a variable; undefined if it is not set, or empty. */
export const textOf = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.NonEmptyString(name)).pipe(
    Effect.orElseSucceed(() => Option.none<string>()),
    Effect.map(Option.getOrUndefined),
  )
