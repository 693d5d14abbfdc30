/**
 * What a peer may do, as the handlers ask for it. The host's own peers may do everything; what others may is their
 * grant's, at the moment of asking.
 */
import { Effect } from "effect"
import type { AccountKey } from "../domain/AccountKey.ts"
import type { Forbidden, StoreUnavailable, Unauthorized } from "../domain/Errors.ts"
import type { Wish } from "../domain/Grant.ts"

/** What was granted to one request. */
export interface Permit {
  /** Fails if it was taken back since. */
  readonly stillGood: Effect.Effect<void, Forbidden>
}

export interface Rights {
  /** Whether the peer is held to a grant. Then it must not learn what is there beyond it. */
  readonly isRestricted: boolean
  /** Whether it may, as far as that is known without asking a person, and without counting. */
  readonly mayNow: (wish: Wish) => boolean
  /** Fails unless it may; a person may be asked meanwhile. */
  readonly demand: (wish: Wish) => Effect.Effect<Permit, Forbidden>
  /** Fails unless it may go on with what it has begun, by what was granted then or since. Nobody is asked. */
  readonly demandStill: (wish: Wish) => Effect.Effect<void, Forbidden>
  /** Whether the peer may know of an account, a provider, an API key. */
  readonly sees: (account: AccountKey) => boolean
  readonly seesProvider: (name: string) => boolean
  readonly seesApiKey: (name: string) => boolean
  /** Sees to it that something is done when the peer has no rights any more; `now` does it before, and not again. */
  readonly whenOver: (work: Effect.Effect<void>) => Effect.Effect<{ readonly now: Effect.Effect<void> }>
  /** Does what may hand out something secret, where that is counted: once too often is not at all. */
  readonly counted: <A, E>(
    work: Effect.Effect<A, E>,
    hasHandedOut: (result: A) => boolean,
  ) => Effect.Effect<A, E | Unauthorized | StoreUnavailable>
}

const unlimited: Permit = { stillGood: Effect.void }

/** Of those who connect to the host's own socket. */
export const everything: Rights = {
  isRestricted: false,
  mayNow: () => true,
  demand: () => Effect.succeed(unlimited),
  demandStill: () => Effect.void,
  sees: () => true,
  seesProvider: () => true,
  seesApiKey: () => true,
  whenOver: (work) => Effect.succeed({ now: work }),
  counted: (work) => work,
}
