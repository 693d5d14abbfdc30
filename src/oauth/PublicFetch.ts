/**
 * A `fetch` that connects to nothing but public addresses, whatever a name resolves to at the moment.
 */
import { Context } from "effect"

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Over Node's own client, which is loaded when it is first needed. */
export const PublicFetch = Context.Reference<Fetch>("tokenkeep/oauth/PublicFetch", {
  defaultValue: () => (url, init) => import("./PublicFetchNode.ts").then(({ publicFetch }) => publicFetch(url, init)),
})
