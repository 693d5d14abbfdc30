/**
 * How the token endpoint can behave for one call, when it does not behave well.
 *
 * One rule for all: what answers 200, or would, has done the work of the call (a refresh token is spent, and its
 * successor issued); what refuses has done nothing.
 */
import { Duration, Schema } from "effect"

/** An answer word for word. */
export const Answer = Schema.Struct({
  status: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
  body: Schema.Json,
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
})
export type Answer = typeof Answer.Type

export const Behaviour = Schema.TaggedUnion({
  Ok: {},
  Drop: {},
  DropBefore: {},
  Slow: { delay: Schema.Duration },
  Hang: {},
  TooManyRequests: { retryAfter: Schema.Duration, form: Schema.Literals(["seconds", "date"]) },
  Status: { status: Answer.fields.status, error: Schema.optionalKey(Schema.NonEmptyString) },
  InvalidJson: {},
  Oversized: {},
  Truncated: {},
  Redirect: {},
  OmitRefreshToken: {},
  ExpiresIn: { value: Schema.optionalKey(Schema.Json) },
  Literal: { answer: Answer },
})
export type Behaviour = typeof Behaviour.Type

/** A behaviour for the next call of the token endpoint, of whatever grant type. */
export const AnyCall = Schema.TaggedStruct("AnyCall", { behaviour: Behaviour })

/** One step of a script: a behaviour alone is for the next refresh. */
export const Step = Schema.Union([Behaviour, AnyCall])
export type Step = typeof Step.Type

/** As the RFCs have it. */
export const ok: Behaviour = { _tag: "Ok" }
/** Does the work, then cuts the connection. */
export const drop: Behaviour = { _tag: "Drop" }
/** Cuts the connection before doing anything. */
export const dropBefore: Behaviour = { _tag: "DropBefore" }
/** Does the work, and answers late. */
export const slow = (delay: Duration.Input): Behaviour => ({ _tag: "Slow", delay: Duration.fromInputUnsafe(delay) })
/** Does nothing, and never answers. */
export const hang: Behaviour = { _tag: "Hang" }
/** Refuses with 429; `Retry-After` says for how long, in seconds or as a date. */
export const tooManyRequests = (retryAfter: Duration.Input, form: "seconds" | "date" = "seconds"): Behaviour => ({
  _tag: "TooManyRequests",
  retryAfter: Duration.fromInputUnsafe(retryAfter),
  form,
})
/** Answers with this status, and with an OAuth error code if one is given. */
export const status = (status: number, error?: string): Behaviour => ({
  _tag: "Status",
  status,
  ...(error !== undefined && { error }),
})
/** Does the work, and answers with half an object. */
export const invalidJson: Behaviour = { _tag: "InvalidJson" }
/** Does the work, and answers with more than a mebibyte. */
export const oversized: Behaviour = { _tag: "Oversized" }
/** Does the work, and cuts the connection in the middle of the answer. */
export const truncated: Behaviour = { _tag: "Truncated" }
/** Sends the client elsewhere, with the refresh token in its hands (307). */
export const redirect: Behaviour = { _tag: "Redirect" }
/** Does not rotate this time: the refresh token stays good, and the answer has none. */
export const omitRefreshToken: Behaviour = { _tag: "OmitRefreshToken" }
/** Says this of the lifetime, whatever it is; nothing without an argument. */
export const expiresIn = (value?: Schema.Json): Behaviour => ({
  _tag: "ExpiresIn",
  ...(value !== undefined && { value }),
})
/** Answers word for word. */
export const literal = (answer: Answer): Behaviour => ({ _tag: "Literal", answer })

/** The same for the next call of the token endpoint, of whatever grant type. */
export const onAnyCall = (behaviour: Behaviour): Step => ({ _tag: "AnyCall", behaviour })
