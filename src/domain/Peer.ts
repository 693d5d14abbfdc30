/**
 * Who asks. A session belongs to the peer that began it, and to no other.
 *
 * The process id is left out on purpose: it can be reused and says nothing about rights.
 */
import { Data } from "effect"

/** The program itself, or a process at the other end of a connection, told apart by user id and grant. */
export type Peer = Data.TaggedEnum<{
  readonly InProcess: {}
  readonly Connected: { readonly uid: number; readonly grant: string }
}>

export const { $is: isPeer, $match: matchPeer, Connected, InProcess } = Data.taggedEnum<Peer>()

/** The peer of calls made within the program that holds the broker. */
export const inProcess: Peer = InProcess()
