/**
 * Words as a shell reads them again.
 */

/** One word of a command for `sh`. What needs no quotes has none, so that it can be read elsewhere, too. */
export const quoted = (word: string): string =>
  // A shell may do something with = in the beginning.
  /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** A command for `sh`. */
export const command = (words: ReadonlyArray<string>): string => words.map(quoted).join(" ")

/** What a variable may be called. */
export const isVariable = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text)
