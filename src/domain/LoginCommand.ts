/**
 * What a person types to log in to an account.
 */
import type { AccountKey } from "./AccountKey.ts"
import { printable } from "./RemoteText.ts"

/** The command to type, if the name can be typed: it may hold anything, and a shell obeys some of it. */
export const loginCommand = (account: AccountKey) => {
  const name = account.toString()
  if (/^[\w.@:%+-]+$/.test(name)) return `tokenkeep login ${name}`
  return printable(name) === name ? `tokenkeep login '${name.replaceAll("'", "'\\''")}'` : "tokenkeep login"
}
