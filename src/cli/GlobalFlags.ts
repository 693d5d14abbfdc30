/**
 * Flags that every command has.
 */
import { Flag, GlobalFlag } from "effect/cli"

/** Whether a program reads what is printed. Then errors are JSON on stdout too. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON, also of what goes wrong"), Flag.withDefault(false)),
})

/** Whether nobody may be asked anything. */
export const NoInput = GlobalFlag.Setting("no-input")({
  flag: Flag.Boolean("no-input").pipe(
    Flag.withDescription("Ask nobody and open no browser; CI in the environment means the same"),
    Flag.withDefault(false),
  ),
})

export const all = [Json, NoInput] as const
