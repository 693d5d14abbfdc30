/**
 * What is to be had on the host's own socket and on no other: grants, and the questions of those who hold one. The shape
 * of what is asked and answered is here for both ends.
 */
import { Effect, Option, Schema } from "effect"
import { PublicGrant, Terms } from "../domain/Grant.ts"
import { Decision, Question } from "../domain/Question.ts"
import { Secret } from "../domain/Token.ts"
import type { JsonObject } from "./Frame.ts"
import { Grants } from "./Grants.ts"
import { type Operation, operation } from "./Handlers.ts"

export const NewGrant = Schema.Struct({
  terms: Terms,
  transport: PublicGrant.fields.transport,
  has_capability: Schema.Boolean,
  is_kept: Schema.Boolean,
  /** Whether it ends with the connection that it was asked for on. */
  while_connected: Schema.Boolean,
})

export const Granted = Schema.Struct({
  id: Schema.String,
  address: Schema.String,
  capability: Schema.optionalKey(Secret),
})

export const GrantList = Schema.Struct({
  grants: Schema.Array(Schema.Struct({ grant: PublicGrant, has_capability: Schema.Boolean, address: Schema.String })),
})

export const Edit = Schema.Struct({ id: Schema.String, terms: Terms })
export const GrantId = Schema.Struct({ id: Schema.String })
export const Nothing = Schema.Struct({})
export const QuestionList = Schema.Struct({ questions: Schema.Array(Question) })
export const Answer = Schema.Struct({ id: Schema.String, decision: Decision })
export const Answered = Schema.Struct({ question: Question })

/** A value as it is on the wire. What we have made ourselves can be written. */
export const written = <S extends Schema.Codec<unknown, JsonObject>>(schema: S) => {
  const encode = Schema.encodeEffect(schema)
  return (value: S["Type"]) => Effect.orDie(encode(value))
}

/** The operations, over the grants of the context. */
export const make: Effect.Effect<ReadonlyArray<readonly [string, Operation]>, never, Grants> = Effect.gen(function* () {
  const grants = yield* Grants
  const nothing: JsonObject = {}
  const granted = written(Granted)
  const list = written(GrantList)
  const questions = written(QuestionList)
  const answered = written(Answered)

  return [
    operation("grant_add", NewGrant, ({ has_capability, is_kept, terms, transport, while_connected }) => {
      const grant = { terms, transport, hasCapability: has_capability, isKept: is_kept }
      return Effect.flatMap(while_connected ? grants.borrow(grant) : grants.add(grant), ({ address, capability, id }) =>
        granted({ id, address, ...(Option.isSome(capability) && { capability: capability.value }) }),
      )
    }),
    operation("grant_list", Nothing, () =>
      Effect.flatMap(grants.list, (entries) =>
        list({
          grants: entries.map(({ address, grant, hasCapability }) => ({
            grant,
            has_capability: hasCapability,
            address,
          })),
        }),
      ),
    ),
    operation("grant_edit", Edit, ({ id, terms }) => Effect.as(grants.edit(id, terms), nothing)),
    operation("grant_revoke", GrantId, ({ id }) => Effect.as(grants.revoke(id), nothing)),
    operation("question_list", Nothing, () =>
      Effect.flatMap(grants.questions, (open) => questions({ questions: open })),
    ),
    operation("question_answer", Answer, ({ decision, id }) =>
      Effect.flatMap(grants.decide(id, decision), (question) => answered({ question })),
    ),
  ]
})
