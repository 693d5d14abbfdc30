/**
 * The {@link Grants} of a host that runs elsewhere, over its own socket.
 */
import { Effect, Layer, Option, Schema } from "effect"
import { GrantNotFound, QuestionNotFound } from "../domain/Errors.ts"
import type { JsonObject } from "../server/Frame.ts"
import * as Operations from "../server/GrantOperations.ts"
import { Grants, type NewGrant } from "../server/Grants.ts"
import * as Ask from "./Ask.ts"
import * as HostConnection from "./HostConnection.ts"

const nothing = () => Option.some(undefined)

const newGrant = Operations.written(Operations.NewGrant)
const edit = Operations.written(Operations.Edit)

/** Grants of the host at the socket. Connects at the first call. */
export const layer = (options: HostConnection.Options): Layer.Layer<Grants> =>
  Layer.effect(
    Grants,
    Effect.gen(function* () {
      const ask = Ask.make(yield* HostConnection.make(options))
      const read = <S extends Schema.ConstraintDecoder<unknown>>(op: string, payload: JsonObject, schema: S) =>
        ask<S["Type"], never>(op, payload, Schema.decodeUnknownOption(schema), {})

      const addOver = Effect.fnUntraced(function* (over: typeof ask, grant: NewGrant, isWhileConnected: boolean) {
        const payload = yield* newGrant({
          terms: grant.terms,
          transport: grant.transport,
          has_capability: grant.hasCapability,
          is_kept: grant.isKept,
          while_connected: isWhileConnected,
        })
        const decode = Schema.decodeUnknownOption(Operations.Granted)
        const made = yield* over<typeof Operations.Granted.Type, never>("grant_add", payload, decode, {})
        return { id: made.id, address: made.address, capability: Option.fromUndefinedOr(made.capability) }
      })

      const revokeOver = (over: typeof ask, id: string) =>
        over("grant_revoke", { id }, nothing, { NOT_FOUND: () => GrantNotFound.make({ id }) })

      return Grants.of({
        add: (grant) => addOver(ask, grant, false),
        // Over a connection of its own: the grant ends with it, and so it must not be closed for being idle.
        borrow: Effect.fnUntraced(function* (grant) {
          const own = Ask.make(yield* HostConnection.make({ ...options, isKeptOpen: true }))
          return yield* Effect.acquireRelease(addOver(own, grant, true), ({ id }) => Effect.ignore(revokeOver(own, id)))
        }),
        list: read("grant_list", {}, Operations.GrantList).pipe(
          Effect.map(({ grants }) =>
            grants.map(({ address, grant, has_capability }) => ({ grant, hasCapability: has_capability, address })),
          ),
        ),
        edit: (id, terms) =>
          Effect.flatMap(edit({ id, terms }), (payload) =>
            ask("grant_edit", payload, nothing, { NOT_FOUND: () => GrantNotFound.make({ id }) }),
          ),
        revoke: (id) => revokeOver(ask, id),
        questions: read("question_list", {}, Operations.QuestionList).pipe(Effect.map(({ questions }) => questions)),
        decide: (id, decision) =>
          ask("question_answer", { id, decision }, Schema.decodeUnknownOption(Operations.Answered), {
            NOT_FOUND: () => QuestionNotFound.make({ id }),
          }).pipe(Effect.map(({ question }) => question)),
      })
    }),
  )
