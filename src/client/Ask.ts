/**
 * Questions to the host: sent by a {@link HostConnection}, with what the codes of failed replies mean.
 */
import { type Duration, Effect, type Option, Schema } from "effect"
import type { CallError } from "../broker/Broker.ts"
import { Forbidden, HostFailure, InvalidRequest, RateLimited, Unauthorized } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import type { JsonObject } from "../server/Frame.ts"
import * as Protocol from "../server/Protocol.ts"
import type { Call } from "./HostConnection.ts"

/** What a code means where it is received, beyond what it always means. */
export type Meanings<E> = {
  readonly [code in Protocol.WireCode]?: (detail: string, retryAfter: Duration.Duration) => E
}

const isCode = Schema.is(Protocol.WireCode)

/** A way to ask on this connection. */
export const make =
  (call: Call) =>
  <A, E>(
    op: string,
    payload: JsonObject,
    decode: (data: JsonObject) => Option.Option<A>,
    meanings: Meanings<E>,
  ): Effect.Effect<A, E | CallError> =>
    call(op, payload).pipe(
      Effect.catchTag("Refused", ({ code, error, retryAfter }): Effect.Effect<never, E | CallError> => {
        const detail = printable(error)
        const meaning = isCode(code) ? meanings[code] : undefined
        if (meaning !== undefined) return Effect.fail(meaning(detail, retryAfter))
        switch (code) {
          case "UNAUTHORIZED":
            return Effect.fail(Unauthorized.make({}))
          case "FORBIDDEN":
            return Effect.fail(Forbidden.make({}))
          case "INVALID_REQUEST":
            return Effect.fail(InvalidRequest.make({ detail }))
          case "RATE_LIMITED":
            return Effect.fail(RateLimited.make({ retryAfter }))
          default:
            return Effect.fail(HostFailure.make({}))
        }
      }),
      Effect.flatMap((data) => Effect.fromOption(decode(data))),
      Effect.catchTag("NoSuchElementError", () => Effect.fail(HostFailure.make({}))),
    )
