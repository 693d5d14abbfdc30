/**
 * Calls of the kernel that Node has none for, through koffi and the C library that Node itself runs on.
 */
import { Effect } from "effect"

/** The C library. It is loaded when it is first needed: that takes some milliseconds. */
export const open = Effect.map(
  Effect.promise(() => import("koffi")),
  // Node has it open already, under whatever name this system gives it.
  ({ default: koffi }) => ({ library: koffi.load(null), errno: () => koffi.errno(), errnos: koffi.os.errno }),
)
