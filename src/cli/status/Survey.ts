/**
 * All that `status` shows, at one moment, and as it is for programs.
 */
import { DateTime, Effect, Option } from "effect"
import { isOver, sees } from "../../domain/Grant.ts"
import type { GrantEntry } from "../../server/Grants.ts"
import { GrantHolders } from "./GrantHolders.ts"
import { type AccountState, LoginStatus } from "./LoginStatus.ts"
import { instant } from "../Instant.ts"
import { inProgram, ProgramName } from "../ProgramName.ts"

export interface Login extends AccountState {
  /** The grants that reach it; none where nobody can tell. */
  readonly holders: Option.Option<ReadonlyArray<GrantEntry>>
}

export interface Survey {
  readonly at: DateTime.Utc
  readonly logins: ReadonlyArray<Login>
}

export const take = Effect.gen(function* () {
  const { list } = yield* LoginStatus
  const program = yield* ProgramName
  const accounts = yield* list
  // Nobody is asked about nothing.
  const grants = accounts.length === 0 ? Option.none() : yield* Effect.flatten(GrantHolders)
  const at = yield* DateTime.now
  const now = DateTime.toEpochMillis(at)
  const here = (sentence: string) => inProgram(program, sentence)
  const logins = accounts.map((state): Login => ({
    ...state,
    problem: Option.map(state.problem, here),
    next: Option.map(state.next, here),
    holders: Option.map(grants, (entries) =>
      entries.filter(({ grant }) => !isOver(grant, now) && sees(grant, state.account)),
    ),
  }))
  return { at, logins } satisfies Survey
})

export const needAttention = ({ logins }: Survey): ReadonlyArray<Login> =>
  logins.filter(({ needsAttention }) => needsAttention)

export const toJson = ({ logins }: Survey) => ({
  version: 1,
  accounts: logins.map(({ account, details, holders, needsAttention, next, problem, refresh, snapshot, state }) => ({
    provider: account.provider,
    bucket: account.bucket,
    state,
    needsAttention,
    ...(Option.isSome(problem) && { problem: problem.value }),
    ...(Option.isSome(next) && { next: next.value }),
    ...(Object.keys(details).length > 0 && { details }),
    ...Option.match(snapshot, {
      onNone: () => ({}),
      onSome: ({ accessToken, expiresAt, refreshable, scopes }) => ({
        accessToken,
        scopes,
        ...(Option.isSome(refresh) && { refreshable }),
        ...instant("expiresAt", expiresAt),
      }),
    }),
    ...Option.match(refresh, {
      onNone: () => ({}),
      onSome: ({ backOffUntil, last, nextRenewal, rotation, unanswered }) => ({
        rotation,
        ...instant("nextRenewalAt", nextRenewal),
        ...instant("backOffUntil", backOffUntil),
        ...Option.match(last, {
          onNone: () => ({}),
          onSome: ({ at, outcome }) => ({ lastRefresh: { ...instant("at", Option.some(at)), outcome } }),
        }),
        ...Option.match(unanswered, {
          onNone: () => ({}),
          onSome: ({ at, pid }) => ({ unanswered: { ...instant("sentAt", Option.some(at)), pid } }),
        }),
      }),
    }),
    ...(Option.isSome(holders) && { grants: holders.value.map(grantToJson) }),
  })),
})

const grantToJson = ({ grant }: GrantEntry) => ({
  id: grant.id,
  label: grant.label,
  ...instant("expiresAt", Option.fromUndefinedOr(grant.expiresAt)),
  ...(grant.usesLeft !== undefined && { usesLeft: grant.usesLeft }),
})
