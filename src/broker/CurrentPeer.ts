/**
 * For whom the broker is working just now. The server sets it for each request; within the program itself it is the
 * program.
 */
import { Context } from "effect"
import { inProcess, type Peer } from "../domain/Peer.ts"

export const CurrentPeer = Context.Reference<Peer>("tokenkeep/broker/CurrentPeer", { defaultValue: () => inProcess })
