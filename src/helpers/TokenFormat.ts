/**
 * The ways in which `token` says a token.
 */
import { ascii } from "../domain/AsciiJson.ts"
import { type Answer, type Handout, isSayable, refused, said, timestamp, unsayable, wholeSeconds } from "./Handout.ts"
import { isVariable, quoted } from "./Shell.ts"

export const formats = ["raw", "header", "env", "json"] as const
export type Format = (typeof formats)[number]

export const isFormat = (text: string): text is Format => formats.some((format) => format === text)

/** The variable that the token is in, where none is named. */
export const defaultVariable = "TOKENKEEP_TOKEN"

/** How a token is shown (RFC 6750): whichever way a server writes it, it is Bearer; another scheme is its own. */
const schemeOf = (tokenType: string): string => (/^(?:bearer)?$/i.test(tokenType) ? "Bearer" : tokenType)

/** The token as it is asked for, with the line end that it has there. */
export const answer = (
  format: Format,
  account: string,
  handout: Handout,
  variable: string = defaultVariable,
): Answer => {
  const { accessToken, expiresAt, extras = {}, scopes, tokenType } = handout
  if (!isSayable(accessToken)) return unsayable
  switch (format) {
    case "raw":
      return said(`${accessToken}\n`)
    case "header":
      // Of another kind is more to be shown than the token itself, such as a proof that one has a key.
      return schemeOf(tokenType) === "Bearer"
        ? said(`Authorization: Bearer ${accessToken}\n`)
        : refused("The provider's token is not one that is shown with Bearer. Take another --format.")
    case "env":
      return isVariable(variable)
        ? said(`${variable}=${quoted(accessToken)}\n`)
        : refused("No variable can be called that. A name has letters, digits and _ only, and no digit first.")
    case "json":
      return said(
        `${ascii({
          version: 1,
          account,
          access_token: accessToken,
          token_type: schemeOf(tokenType),
          ...(expiresAt !== undefined && {
            expiresAt: timestamp(expiresAt),
            expiresAtEpochSeconds: wholeSeconds(expiresAt),
          }),
          scopes,
          extras,
        })}\n`,
      )
  }
}
