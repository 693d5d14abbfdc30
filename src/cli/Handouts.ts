/**
 * From the broker's tokens to what other programs read, and from that to stdout.
 */
import { Console, Data, DateTime, Effect, Redacted } from "effect"
import { scopesIn } from "../domain/ScopeText.ts"
import type { PublicToken } from "../domain/Token.ts"
import type { Answer, Handout } from "../helpers/Handout.ts"

export const handoutOf = ({ accessToken, expiresAt, extras, scope, tokenType }: PublicToken): Handout => ({
  accessToken: Redacted.value(accessToken),
  expiresAt: expiresAt === undefined ? undefined : DateTime.toEpochMillis(expiresAt) / 1000,
  tokenType,
  scopes: scopesIn(scope),
  extras,
})

/** There is a token, and it cannot be said in the way that was asked for. */
export class TokenUnsaid extends Data.TaggedError("TokenUnsaid")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** Prints an answer, byte for byte; each ends with a line end. */
export const print = (answer: Answer): Effect.Effect<void, TokenUnsaid> =>
  answer._tag === "Said"
    ? Console.log(answer.stdout.replace(/\n$/, ""))
    : Effect.fail(new TokenUnsaid({ detail: answer.why }))
