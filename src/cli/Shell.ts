/**
 * Commands that a person is told to type, with names in them that a shell would take for something else.
 */
import { oneLine } from "../domain/RemoteText.ts"

/** The word as a shell takes it for itself. What cannot be shown as it is cannot be typed either. */
export const quoted = (word: string): string =>
  /^[\w.@:%+/,=-]+$/.test(word) ? word : `'${oneLine(word).replaceAll("'", "'\\''")}'`

/** Keeps the file, under another name. */
export const moveAwayCommand = (path: string): string => `mv ${quoted(path)} ${quoted(`${path}.damaged`)}`
