/**
 * The scopes of a token, as OAuth writes them. Nothing here loads Effect, because a program that lives for some milliseconds
 * reads them too.
 */

/** The scopes in a text that has them with spaces between (RFC 6749 section 3.3); none in none. */
export const scopesIn = (scope: string | undefined): ReadonlyArray<string> =>
  scope?.split(" ").filter((each) => each !== "") ?? []
