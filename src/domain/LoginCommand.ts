/**
 * What a person types to log in to an account, or to set an API key.
 */
import type { AccountKey } from "./AccountKey.ts"
import { printable } from "./RemoteText.ts"

/** The command to type, if the name can be typed: it may hold anything, and a shell obeys some of it. */
const commandFor = (command: string, name: string) => {
  if (/^[\w.@:%+/-]+$/.test(name)) return `${command} ${name}`
  return printable(name) === name ? `${command} '${name.replaceAll("'", "'\\''")}'` : command
}

export const loginCommand = (account: AccountKey) => commandFor("tokenkeep login", account.toString())

export const keyCommand = (name: string) => commandFor("tokenkeep key set", name)
