/**
 * Text that came from somewhere else (a provider, a peer, a file) on its way to a terminal, a log or a reply.
 *
 * Terminals obey escape sequences, bidirectional controls reorder what a person reads, and zero-width characters hide
 * differences, so none of them survives here.
 */

// Default_Ignorable_Code_Point and the blank Braille pattern are invisible without being format characters.
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{DI}\u2800]+/gu

/** The longest remote text that is shown or sent on, in UTF-16 units. */
export const maximumLength = 200

/** One printable line: controls, escapes, bidi and zero-width are gone. */
export const oneLine = (text: string): string => text.replace(unsafe, " ").trim()

/** One printable line of at most {@link maximumLength} characters. */
export const printable = (text: string): string => {
  const line = oneLine(text)
  return line.length <= maximumLength ? line : `${line.slice(0, maximumLength - 1).replace(/[\uD800-\uDBFF]$/, "")}…`
}
