/**
 * Giving others less than everything: grants, and the questions of those who want more. As with the broker there are two
 * of it, the one in the process that serves and the one that asks it over the host's socket.
 */
import { Context, type Effect, type Option, type Redacted, type Scope } from "effect"
import type { CallError } from "../broker/Broker.ts"
import type { GrantNotFound, QuestionNotFound } from "../domain/Errors.ts"
import type { PublicGrant, Terms } from "../domain/Grant.ts"
import type { Decision, Question } from "../domain/Question.ts"

/** A grant to be made. */
export interface NewGrant {
  readonly terms: Terms
  readonly transport: PublicGrant["transport"]
  /** Whether a capability has to be shown; over TCP always. */
  readonly hasCapability: boolean
  /** Whether it is there again after the host was started anew. */
  readonly isKept: boolean
}

/** A grant that was made. The capability is known now and never again. */
export interface Granted {
  readonly id: string
  /** A path, or `tcp://host:port`. */
  readonly address: string
  readonly capability: Option.Option<Redacted.Redacted>
}

/** A grant as it is shown. */
export interface GrantEntry {
  readonly grant: PublicGrant
  readonly hasCapability: boolean
  readonly address: string
}

/** Makes, shows, changes and ends grants, and answers questions. Changes count for open connections at once. */
export class Grants extends Context.Service<
  Grants,
  {
    readonly add: (grant: NewGrant) => Effect.Effect<Granted, CallError>
    /** As `add`, until the scope closes. */
    readonly borrow: (grant: NewGrant) => Effect.Effect<Granted, CallError, Scope.Scope>
    /** Oldest first. */
    readonly list: Effect.Effect<ReadonlyArray<GrantEntry>, CallError>
    readonly edit: (id: string, terms: Terms) => Effect.Effect<void, GrantNotFound | CallError>
    /** Ends a grant: its socket is gone and its connections are closed when this returns. */
    readonly revoke: (id: string) => Effect.Effect<void, GrantNotFound | CallError>
    /** The questions that wait for an answer, oldest first. */
    readonly questions: Effect.Effect<ReadonlyArray<Question>, CallError>
    readonly decide: (id: string, decision: Decision) => Effect.Effect<Question, QuestionNotFound | CallError>
  }
>()("tokenkeep/server/Grants") {}
