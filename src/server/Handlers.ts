/**
 * What each operation does: a decoded request in, the data of a reply out. Knows the broker and the wire, not the
 * socket.
 */
import { Effect, Option, Schema } from "effect"
import { Broker } from "../broker/Broker.ts"
import * as Account from "../domain/AccountKey.ts"
import { InvalidRequest } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import { Secret } from "../domain/Token.ts"
import { FlowType } from "../domain/Session.ts"
import type { JsonObject } from "./Frame.ts"
import * as Protocol from "./Protocol.ts"

/** Answers one request; `op` is whatever the peer wrote. */
export type Handle = (op: string, payload: unknown) => Effect.Effect<JsonObject, Protocol.WireError>

const provider = { provider: Account.ProviderName }
const account = { ...provider, bucket: Schema.optionalKey(Account.BucketName) }
const session = { session_id: Schema.String.check(Schema.isMaxLength(128)) }

const Nothing = Schema.Struct({})
const ProviderPayload = Schema.Struct(provider)
const AccountPayload = Schema.Struct(account)
const SavePayload = Schema.Struct({ ...account, token: Schema.Unknown })
const InitiatePayload = Schema.Struct({
  ...account,
  redirect_uri: Schema.optionalKey(Schema.String),
  flow_type: Schema.optionalKey(FlowType),
})
const SessionPayload = Schema.Struct(session)
const ExchangePayload = Schema.Struct({ ...session, code: Secret })

const keyOf = (payload: { readonly provider: string; readonly bucket?: string }) =>
  Account.make(payload.provider, payload.bucket)

/** An operation with such a payload. What a payload must be is said without repeating what it was. */
const operation = <S extends Schema.ConstraintDecoder<unknown> & { readonly fields: object }>(
  schema: S,
  run: (payload: S["Type"]) => Effect.Effect<JsonObject, Protocol.WireError>,
): Handle => {
  const decode = Schema.decodeUnknownOption(schema)
  const expected = Object.keys(schema.fields).join(", ")
  return (op, payload) =>
    Option.match(decode(payload), {
      onNone: () =>
        Effect.fail(InvalidRequest.make({ detail: `A field of ${op} is missing or mistyped. It takes: ${expected}.` })),
      onSome: run,
    })
}

const nothing: JsonObject = {}

/** Handlers over the broker of the context. */
export const make: Effect.Effect<Handle, never, Broker> = Effect.gen(function* () {
  const broker = yield* Broker

  const operations = new Map([
    [
      "get_token",
      operation(AccountPayload, (payload) => Effect.map(broker.getToken(keyOf(payload)), Protocol.encodeToken)),
    ],
    [
      "refresh_token",
      operation(AccountPayload, (payload) => Effect.map(broker.refreshToken(keyOf(payload)), Protocol.encodeToken)),
    ],
    [
      "save_token",
      operation(SavePayload, (payload) =>
        Option.match(Protocol.decodeToken(payload.token), {
          onNone: () =>
            Effect.fail(
              InvalidRequest.make({
                detail: "The token must have an access_token, and an expiry in epoch seconds if it has one.",
              }),
            ),
          onSome: (token) => Effect.as(broker.saveToken(keyOf(payload), token), nothing),
        }),
      ),
    ],
    ["remove_token", operation(AccountPayload, (payload) => Effect.as(broker.removeToken(keyOf(payload)), nothing))],
    ["list_providers", operation(Nothing, () => Effect.map(broker.listProviders, (providers) => ({ providers })))],
    [
      "list_buckets",
      operation(ProviderPayload, (payload) =>
        Effect.map(broker.listBuckets(payload.provider), (buckets) => ({ buckets })),
      ),
    ],
    [
      "oauth_initiate",
      operation(InitiatePayload, (payload) =>
        broker
          .initiate(keyOf(payload), {
            ...(payload.redirect_uri !== undefined && { redirectUri: payload.redirect_uri }),
            ...(payload.flow_type !== undefined && { flow: payload.flow_type }),
          })
          .pipe(Effect.map(Protocol.encodeInitiated)),
      ),
    ],
    [
      "oauth_exchange",
      operation(ExchangePayload, (payload) =>
        Effect.map(broker.exchange(payload.session_id, payload.code), Protocol.encodeToken),
      ),
    ],
    [
      "oauth_poll",
      operation(SessionPayload, (payload) => Effect.map(broker.poll(payload.session_id), Protocol.encodeProgress)),
    ],
    ["oauth_cancel", operation(SessionPayload, (payload) => Effect.as(broker.cancel(payload.session_id), nothing))],
  ])

  return (op, payload) => {
    const handler = operations.get(op)
    return handler === undefined
      ? Effect.fail(InvalidRequest.make({ detail: `There is no operation ${printable(op)} here.` }))
      : handler(op, payload)
  }
})
