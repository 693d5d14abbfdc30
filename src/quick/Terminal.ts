/**
 * Whether somebody sits at the other end of a descriptor.
 */
import { fstatSync } from "node:fs"

/** Most are no devices at all; what tells terminals from other devices is only loaded for those that are. */
export const isTerminal = (descriptor: number): boolean =>
  fstatSync(descriptor).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(descriptor)
