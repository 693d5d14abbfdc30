/**
 * The part of {@link FileName} that needs no digest. Nothing here loads Effect, because a program that lives for some
 * milliseconds reads files too.
 */

const safe = /[a-z0-9_-]/

/** Beyond this the rest is replaced by a hash; file systems allow 255 bytes, and temporary files need a suffix. */
export const longest = 180

const escape = (byte: number): string => {
  const character = String.fromCharCode(byte)
  return safe.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`
}

/** The bytes of a name, each as it is if that is safe, otherwise by its number. */
export const escaped = (bytes: Uint8Array): string => Array.from(bytes, escape).join("")
