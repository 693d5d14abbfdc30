/**
 * The protocol of docker-credential-helpers: what is asked is on stdin, and what went wrong is said on stdout, where docker
 * looks for it.
 */
import { ascii } from "../domain/AsciiJson.ts"
import { type Answer, type Handout, isSayable, said, unsayable } from "./Handout.ts"
import { type Binding, hostOf } from "./HostBinding.ts"

const actions = ["get", "store", "erase", "list", "version"] as const
export type Action = (typeof actions)[number]

export const isAction = (text: string): text is Action => actions.some((action) => action === text)

/** The registry that is asked for, and how docker has written it. */
export interface Registry {
  readonly host: string
  readonly serverUrl: string
}

/** By these very words docker knows that it may go on without a credential. */
export const notFound = "credentials not found in native keychain\n"

/** By these, that it was asked for nothing. */
export const noServer = "no credentials server URL\n"

export const notStored =
  "tokenkeep keeps no passwords of registries. Log in with: tokenkeep login, and bind the registry with: tokenkeep helper docker --install\n"

/** The registry of what docker says, a host or an `https://` address; none where a token may not go. */
export const parse = (text: string): Registry | undefined => {
  const serverUrl = text.replace(/\n$/, "")
  const [, authority = ""] = /^(?:https:\/\/)?([^/?#\\@]+)(?:\/[\x21-\x7e]*)?$/.exec(serverUrl) ?? []
  const host = hostOf(authority)
  return host === undefined ? undefined : { host, serverUrl }
}

/** Nothing was asked for. */
export const isEmpty = (text: string): boolean => text.trim() === ""

/** The credential. */
export const answer = ({ serverUrl }: Registry, { username }: Binding, { accessToken }: Handout): Answer =>
  isSayable(accessToken)
    ? said(`${JSON.stringify({ ServerURL: serverUrl, Username: username, Secret: accessToken })}\n`)
    : unsayable

/** The registries that are bound, and their user names. */
export const list = (bound: ReadonlyArray<Binding>): string =>
  `${ascii(Object.fromEntries(bound.map(({ host, username }) => [host, username])))}\n`
