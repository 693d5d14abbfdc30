/**
 * Whose a file is, and who else may use it, as the kernel has it.
 */

/** The number of our user; -1 where users have none. */
export const uid = (): number => process.getuid?.() ?? -1

export const root = 0

/** Whom the kernel names in a container where it has no number for a user of the machine: root of it, most likely. */
export const unmapped = 65_534

/** Bits of a file's mode. */
export const groupOrOthersMayWrite = 0o022
export const groupOrOthersMayDoAnything = 0o077
