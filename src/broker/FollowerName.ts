/**
 * What the socket of a follower is called: by its name is known what it wants to hear, before anything is sent to it.
 */

/** Who follows events. */
export interface Follower {
  /** Whether it wants to hear of each token that is asked for. */
  readonly tokens: boolean
}

const pattern = /^(all|logins)-[0-9a-f]{16}\.sock$/

/** The name of a socket; `random` is 16 hexadecimal digits. */
export const nameOf = ({ tokens }: Follower, random: string): string => `${tokens ? "all" : "logins"}-${random}.sock`

/** The follower of this name; undefined if it is not the name of one. */
export const followerIn = (name: string): Follower | undefined => {
  const kind = pattern.exec(name)?.[1]
  return kind === undefined ? undefined : { tokens: kind === "all" }
}
