/**
 * The command that a person is told to type next, with names in it that a shell would take for something else.
 */
import { oneLine } from "../domain/RemoteText.ts"
import * as Shell from "../helpers/Shell.ts"

/** The word as a shell takes it for itself. What cannot be shown as it is cannot be typed either. */
export const quoted = (word: string): string => Shell.quoted(oneLine(word))

/** A text without the command that it ends with, where that is said elsewhere. */
export const withoutCommand = (text: string, command: string | undefined): string => {
  if (command === undefined || !text.endsWith(`: ${command}`)) return text
  const rest = text.slice(0, -command.length - 2)
  const end = rest.lastIndexOf(". ")
  return end === -1 ? `${rest}.` : rest.slice(0, end + 1)
}

/** Keeps the file, under another name. */
export const moveAwayCommand = (path: string): string => `mv ${quoted(path)} ${quoted(`${path}.damaged`)}`
