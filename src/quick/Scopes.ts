/**
 * The scopes in a text.
 */
export const scopesIn = (scope: string | undefined): ReadonlyArray<string> =>
  scope?.split(" ").filter((each) => each !== "") ?? []
