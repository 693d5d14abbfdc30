/**
 * JSON in ASCII, on one line unless it is indented: what a terminal shows of it is what there is, and each byte is a
 * character.
 */
export const ascii = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
