/**
 * Scripts as people type them: behaviours with commas between, like `drop,429:120,ok`.
 */
import { Duration, Effect, Option, Result, Schema, SchemaIssue, SchemaTransformation } from "effect"
import * as Behaviour from "./Behaviour.ts"

/** How a behaviour is written, and what it means. */
interface Word {
  readonly name: string
  /** The name, and what may stand behind it. */
  readonly form: string
  readonly parse: (argument: string | undefined) => Option.Option<Behaviour.Behaviour>
}

const alone = (behaviour: Behaviour.Behaviour) => (argument: string | undefined) =>
  argument === undefined ? Option.some(behaviour) : Option.none()

/** Up to eleven days, to the millisecond. */
const secondsPattern = /^\d{1,6}(\.\d{1,3})?$/

const seconds = (make: (delay: Duration.Duration) => Behaviour.Behaviour) => (argument: string | undefined) =>
  argument !== undefined && secondsPattern.test(argument)
    ? Option.some(make(Duration.millis(Math.round(Number(argument) * 1000))))
    : Option.none()

const parseStatus = (argument = "") => {
  const [, status, , error] = /^([2-5]\d\d)(:([a-z_]+))?$/.exec(argument) ?? []
  return Option.map(Option.fromUndefinedOr(status), (digits) => Behaviour.status(Number(digits), error))
}

const parseJson = Schema.decodeOption(Schema.fromJsonString(Schema.Json))

const parseExpiresIn = (argument = "") =>
  argument === "none" ? Option.some(Behaviour.expiresIn()) : Option.map(parseJson(argument), Behaviour.expiresIn)

const words: ReadonlyArray<Word> = [
  { name: "ok", form: "ok", parse: alone(Behaviour.ok) },
  { name: "drop", form: "drop", parse: alone(Behaviour.drop) },
  { name: "drop-before", form: "drop-before", parse: alone(Behaviour.dropBefore) },
  { name: "slow", form: "slow:SECONDS", parse: seconds(Behaviour.slow) },
  { name: "hang", form: "hang", parse: alone(Behaviour.hang) },
  { name: "429", form: "429:SECONDS", parse: seconds((delay) => Behaviour.tooManyRequests(delay)) },
  { name: "429-date", form: "429-date:SECONDS", parse: seconds((delay) => Behaviour.tooManyRequests(delay, "date")) },
  { name: "status", form: "status:CODE[:ERROR]", parse: parseStatus },
  { name: "invalid-json", form: "invalid-json", parse: alone(Behaviour.invalidJson) },
  { name: "oversized", form: "oversized", parse: alone(Behaviour.oversized) },
  { name: "truncated", form: "truncated", parse: alone(Behaviour.truncated) },
  { name: "redirect", form: "redirect", parse: alone(Behaviour.redirect) },
  { name: "omit-refresh-token", form: "omit-refresh-token", parse: alone(Behaviour.omitRefreshToken) },
  { name: "expires-in", form: "expires-in:JSON|none", parse: parseExpiresIn },
]

/** How each behaviour is written. */
export const forms: ReadonlyArray<string> = words.map(({ form }) => form)

const anyPrefix = "any:"

const parseBehaviour = (text: string): Result.Result<Behaviour.Behaviour, string> => {
  const [, name = "", , argument] = /^([^:]*)(:(.*))?$/s.exec(text) ?? []
  const word = words.find((known) => known.name === name)
  if (word === undefined) {
    const all = forms.join(", ")
    return Result.fail(
      `there is no behaviour ${JSON.stringify(text)}; there are ${all}, and any:BEHAVIOUR for a token call of any grant type`,
    )
  }
  return Result.fromOption(word.parse(argument), () => `${JSON.stringify(text)} is to be written as ${word.form}`)
}

const parseStep = (text: string): Result.Result<Behaviour.Step, string> =>
  text.startsWith(anyPrefix)
    ? Result.map(parseBehaviour(text.slice(anyPrefix.length)), Behaviour.onAnyCall)
    : parseBehaviour(text)

const inSeconds = (duration: Duration.Duration) => String(Duration.toSeconds(duration))

const plain = (name: string) => () => name

/** A step as it is written; an answer word for word only as its status, because there may be tokens in it. */
export const textOf = (step: Behaviour.Step): string =>
  step._tag === "AnyCall" ? `${anyPrefix}${textOf(step.behaviour)}` : behaviourText(step)

const behaviourText: (behaviour: Behaviour.Behaviour) => string = Behaviour.Behaviour.match({
  Ok: plain("ok"),
  Drop: plain("drop"),
  DropBefore: plain("drop-before"),
  Slow: ({ delay }) => `slow:${inSeconds(delay)}`,
  Hang: plain("hang"),
  TooManyRequests: ({ form, retryAfter }) => `429${form === "date" ? "-date" : ""}:${inSeconds(retryAfter)}`,
  Status: ({ error, status }) => `status:${status}${error === undefined ? "" : `:${error}`}`,
  InvalidJson: plain("invalid-json"),
  Oversized: plain("oversized"),
  Truncated: plain("truncated"),
  Redirect: plain("redirect"),
  OmitRefreshToken: plain("omit-refresh-token"),
  ExpiresIn: ({ value }) => `expires-in:${value === undefined ? "none" : JSON.stringify(value)}`,
  Literal: ({ answer }) => `literal:${answer.status}`,
})

const parse = (text: string): Result.Result<ReadonlyArray<Behaviour.Step>, string> =>
  Result.all((text === "" ? [] : text.split(",")).map((word) => parseStep(word.trim())))

/** A script out of its text. */
export const Script = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Array(Behaviour.Step),
    SchemaTransformation.transformEffect({
      decode: (text) =>
        Effect.fromResult(parse(text)).pipe(
          Effect.mapError((message) => new SchemaIssue.InvalidValue({ message }, text)),
        ),
      encode: (steps: ReadonlyArray<Behaviour.Step>) => Effect.succeed(steps.map(textOf).join(",")),
    }),
  ),
)
