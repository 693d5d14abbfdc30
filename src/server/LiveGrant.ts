/**
 * One grant at work: what its peers may do at this moment, which a person can change while they are at it.
 */
import { Effect, Equal, Exit, Scope, Semaphore, Struct } from "effect"
import { Forbidden, type StoreUnavailable, Unauthorized } from "../domain/Errors.ts"
import * as Grant from "../domain/Grant.ts"
import type { Decision } from "../domain/Question.ts"
import type { Questions } from "./Questions.ts"
import type { Allowance } from "./RateLimit.ts"
import type { Permit, Rights } from "./Rights.ts"

export interface LiveGrant {
  readonly address: string
  readonly allowance: Allowance
  /** Its socket, and the logins that were begun with it. */
  readonly scope: Scope.Closeable
  /** Those who are connected, by how to tell them to go. */
  readonly connected: Set<() => void>
  /** Keeps it on disk, if it is to be kept. */
  readonly save: (grant: Grant.Grant) => Effect.Effect<void, StoreUnavailable>
  /** What it is on disk and in memory changes in steps, one after the other. */
  readonly changing: Semaphore.Semaphore
  grant: Grant.Grant
  /** The grant, and what a person allowed besides for as long as this process runs. */
  terms: Grant.Terms
  /** What a person allowed for one request, or does not want to be asked again. */
  allowedOnce: ReadonlyArray<Grant.Wish>
  refused: ReadonlyArray<Grant.Wish>
  /** Logins that a person allowed once, and that may be brought to their end. */
  begun: ReadonlyArray<Grant.Wish>
  /** How often it was edited: what was taken before is not given back after. */
  edition: number
  /** Uses that were taken, and may be given back. */
  usesUnderWay: number
  isEnded: boolean
}

/** A grant that nobody has used yet. */
export const make = (
  grant: Grant.Grant,
  fixed: Pick<LiveGrant, "address" | "allowance" | "scope" | "save">,
): LiveGrant => ({
  ...fixed,
  connected: new Set(),
  changing: Semaphore.makeUnsafe(1),
  grant,
  terms: grant,
  allowedOnce: [],
  refused: [],
  begun: [],
  edition: 0,
  usesUnderWay: 0,
  isEnded: false,
})

/** Whether nothing more can be had with it, at an instant in epoch milliseconds. */
export const isOver = ({ grant, isEnded }: LiveGrant, now: number): boolean => isEnded || Grant.isOver(grant, now)

/** Whether it is over, and nobody is at work with its last use. */
export const isDone = ({ grant, usesUnderWay }: LiveGrant, now: number): boolean =>
  Grant.isOver(usesUnderWay === 0 ? grant : Struct.omit(grant, ["usesLeft"]), now)

/** Ends its connections; whoever is still welcome may come again. */
export const dismiss = ({ connected }: LiveGrant): void => connected.forEach((leave) => leave())

// Changes

const has = (wishes: ReadonlyArray<Grant.Wish>, wish: Grant.Wish) => wishes.some((other) => Equal.equals(other, wish))

const without = (wishes: ReadonlyArray<Grant.Wish>, wish: Grant.Wish) =>
  wishes.toSpliced(
    wishes.findIndex((other) => Equal.equals(other, wish)),
    1,
  )

/** On disk first: what a person was told must be so after the next start too. */
const write = Effect.fnUntraced(function* (live: LiveGrant, grant: Grant.Grant) {
  // Its file is gone, and must not come back.
  if (live.isEnded) return
  yield* live.save(grant)
  const added = live.terms.approved.filter((wish) => !has(live.grant.approved, wish))
  live.grant = grant
  live.terms = { ...grant, approved: [...grant.approved, ...added] }
})

const change = (live: LiveGrant, next: (grant: Grant.Grant) => Grant.Grant) =>
  Effect.suspend(() => write(live, next(live.grant))).pipe(live.changing.withPermit, Effect.uninterruptible)

/** Puts other terms in place of the ones that are there. Whoever may no longer connect has to go. */
export const edit = Effect.fnUntraced(function* (live: LiveGrant, terms: Grant.Terms) {
  const isSameUsers = Equal.equals(terms.uids, live.grant.uids)
  yield* change(live, (grant) => ({ ...Struct.omit(grant, ["expiresAt", "usesLeft"]), ...terms }))
  // What a person has just written down replaces what was said to single questions.
  live.terms = live.grant
  live.refused = []
  live.allowedOnce = []
  live.begun = []
  live.edition++
  if (!isSameUsers) dismiss(live)
})

/** From now on it does not change, and `forget` takes it off the disk. */
export const end = <E>(live: LiveGrant, forget: Effect.Effect<void, E>): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    live.isEnded = true
    return forget
  }).pipe(live.changing.withPermit, Effect.uninterruptible)

// Uses

/** Takes a use, and returns how to give it back, or that it was used. */
const takeUse = Effect.fnUntraced(function* (live: LiveGrant) {
  const { edition, grant } = live
  if (grant.usesLeft === 0 || live.isEnded) return yield* Unauthorized.make({})
  yield* write(live, Grant.countUses(grant, -1))
  live.usesUnderWay++
  const giveBack = Effect.suspend(() =>
    edition === live.edition ? write(live, Grant.countUses(live.grant, 1)) : Effect.void,
  ).pipe(
    live.changing.withPermit,
    Effect.catch((error) => Effect.logError(error.message)),
  )
  return (isUsed: boolean) =>
    Effect.ensuring(
      isUsed ? Effect.void : giveBack,
      Effect.sync(() => live.usesUnderWay--),
    )
})

const counted = <A, E>(live: LiveGrant, work: Effect.Effect<A, E>, hasHandedOut: (result: A) => boolean) =>
  Effect.suspend((): Effect.Effect<A, E | Unauthorized | StoreUnavailable> => {
    if (live.grant.usesLeft === undefined) return work
    // Counted before it is out: what was handed out twice after a crash would be once too often.
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(live.changing.withPermit(takeUse(live)), (settle) =>
        Effect.onExit(restore(work), (exit) => settle(Exit.isSuccess(exit) && hasHandedOut(exit.value))),
      ),
    )
  })

// Wishes

/** Does what a person said. */
const settle = (live: LiveGrant, wish: Grant.Wish) =>
  Effect.fnUntraced(function* (decision: Decision, isAwaited: boolean) {
    if (decision === "once" && !isAwaited) live.allowedOnce = [...live.allowedOnce, wish]
    if (decision === "no") live.refused = [...live.refused, wish]
    if (decision === "run") live.terms = Grant.approve(live.terms, wish)
    if (decision === "always") {
      yield* change(live, (grant) => Grant.approve(grant, wish)).pipe(
        Effect.catch((error) => Effect.logError(error.message)),
      )
    }
  })

/** A login is more than one request. */
const noteBegun = (live: LiveGrant, wish: Grant.Wish): void => {
  const isLogin = wish._tag === "Account" && wish.permission === "login"
  if (isLogin && !Grant.permits(live.terms, wish) && !has(live.begun, wish)) live.begun = [...live.begun, wish]
}

/** What its peers may do; `now` says the time in epoch milliseconds. */
export const rights = (live: LiveGrant, questions: Questions["Service"], now: () => number): Rights => ({
  isRestricted: true,
  mayNow: (wish) => live.grant.usesLeft === undefined && !isOver(live, now()) && Grant.permits(live.terms, wish),
  demand: Effect.fnUntraced(function* (wish) {
    const { edition } = live
    const permit: Permit = {
      stillGood: Effect.suspend(() =>
        !live.isEnded && (live.edition === edition || Grant.permits(live.terms, wish))
          ? Effect.void
          : Effect.fail(Forbidden.make({})),
      ),
    }
    if (isOver(live, now())) return yield* Forbidden.make({})
    if (Grant.permits(live.terms, wish)) return permit
    if (has(live.allowedOnce, wish)) {
      live.allowedOnce = without(live.allowedOnce, wish)
      noteBegun(live, wish)
      return permit
    }
    const { id, label } = live.grant
    const isAllowed =
      !has(live.refused, wish) && (yield* questions.ask({ grant: { id, label }, wish, settle: settle(live, wish) }))
    // Whoever edits the grant instead of answering has answered too.
    if (isOver(live, now()) || !(isAllowed || Grant.permits(live.terms, wish))) return yield* Forbidden.make({})
    noteBegun(live, wish)
    return permit
  }),
  demandStill: (wish) =>
    Effect.suspend(() =>
      !isOver(live, now()) && (Grant.permits(live.terms, wish) || has(live.begun, wish))
        ? Effect.void
        : Effect.fail(Forbidden.make({})),
    ),
  sees: (account) => Grant.sees(live.terms, account),
  seesProvider: (name) => Grant.seesProvider(live.terms, name),
  seesApiKey: (name) => Grant.permits(live.terms, { _tag: "ApiKey", name }),
  whenOver: Effect.fnUntraced(function* (work) {
    // A scope of its own leaves nothing in the grant's when it is closed: a peer may begin logins for as long as it lives.
    const scope = yield* Scope.fork(live.scope)
    yield* Scope.addFinalizer(scope, work)
    return { now: Scope.close(scope, Exit.void) }
  }, Effect.uninterruptible),
  counted: (work, hasHandedOut) => counted(live, work, hasHandedOut),
})
