/**
 * The numbers of the wire that both of its ends keep to. Nothing here loads Effect, because a program that lives for some
 * milliseconds asks a host, too.
 */

/** The versions that are spoken here, best first. */
export const versions = [2, 1] as const

/** How long a handshake, and a frame that has begun, may take, in milliseconds. */
export const frameTimeLimit = 5_000

/** How long a request may take, on both sides, in milliseconds. */
export const requestTimeLimit = 30_000

/** The expiry, in epoch seconds, of a token whose provider names none: the end of the year 9999. */
export const never = 253_402_300_799
