/**
 * What was asked of a host before Effect was loaded, and what came of it: it is not asked again, because a request may use
 * up a grant, be put to a person, and be noted. Whoever asks the same takes it.
 */

/** What came of a request for a token. */
export type Outcome =
  /** The host's first word, which does not let us in; nothing, if there was none in time. */
  | { readonly _tag: "Greeted"; readonly greeting: unknown }
  | { readonly _tag: "Replied"; readonly reply: { readonly [name: string]: unknown } }
  /** The connection ended before there was a reply. */
  | { readonly _tag: "Lost" }
  /** There was no reply in time. */
  | { readonly _tag: "Late" }

export interface Handover {
  readonly path: string
  readonly provider: string
  readonly bucket: string
  readonly outcome: Outcome
}

let left: Handover | undefined

/** Leaves what was heard to whoever asks next. */
export const leave = (heard: Handover): void => {
  left = heard
}

/** What was left of this request, once. */
export const take = (
  path: string,
  op: string,
  { bucket, provider }: { readonly [name: string]: unknown },
): Outcome | undefined => {
  if (left === undefined || op !== "get_token") return undefined
  if (left.path !== path || left.provider !== provider || left.bucket !== bucket) return undefined
  const { outcome } = left
  left = undefined
  return outcome
}
