/**
 * Flags that every command has.
 */
import { Flag, GlobalFlag } from "effect/cli"

/** `--json`: whether a program reads what is printed. Then errors are JSON on stdout too. In a handler: `yield* Json`. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON, also of what goes wrong"), Flag.withDefault(false)),
})

/** `--no-input`: whether nobody may be asked anything. In a handler: `yield* NoInput`. */
export const NoInput = GlobalFlag.Setting("no-input")({
  flag: Flag.Boolean("no-input").pipe(
    Flag.withDescription("Ask nobody and open no browser; CI in the environment means the same"),
    Flag.withDefault(false),
  ),
})

/** For `Command.withGlobalFlags`: the single commands read both. */
export const all = [Json, NoInput] as const
