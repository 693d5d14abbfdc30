/**
 * What a person types to log in to an account, to say or see where its login is, or to set an API key.
 */
import type { AccountKey } from "./AccountKey.ts"
import { printable } from "./RemoteText.ts"

/** The command to type, if the name can be typed: it may hold anything, and a shell obeys some of it. */
const commandFor = (command: string, name: string) => {
  if (/^[\w.@:%+/-]+$/.test(name)) return `${command} ${name}`
  return printable(name) === name ? `${command} '${name.replaceAll("'", "'\\''")}'` : command
}

export const loginCommand = (account: AccountKey) => commandFor("tokenkeep login", account.toString())

export const showCommand = (provider: string) => commandFor("tokenkeep provider show", provider)

/** The flags for the fields of a record that must be said by somebody. */
const flags: { readonly [field: string]: string } = {
  clientId: "--client-id ID",
  scopes: "--scope SCOPE",
  flows: "--flow FLOW",
  issuer: "--issuer URL",
}

/** How to say what is not known of a provider yet. */
export const completeCommand = (provider: string, missing: ReadonlyArray<string>) =>
  [commandFor("tokenkeep provider add", provider), ...missing.map((field) => flags[field] ?? field)].join(" ")

/** How to say by hand where the login of an address is. */
export const addCommand = (address: string) =>
  [
    commandFor("tokenkeep provider add", address),
    "--issuer URL --client-id ID --flow browser --redirect-uri http://127.0.0.1/callback",
    commandFor("--resource", address),
  ].join(" ")

export const keyCommand = (name: string) => commandFor("tokenkeep key set", name)
