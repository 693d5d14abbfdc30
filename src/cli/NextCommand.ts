/**
 * The command that a person is told to type next, with names in it that a shell would take for something else.
 */
import { oneLine } from "../domain/RemoteText.ts"
import { quoted } from "../helpers/Shell.ts"

export { quoted } from "../helpers/Shell.ts"

/** The command, unless there is something in it that cannot be shown as it is: that cannot be typed either. */
export const typeable = (command: string | undefined): string | undefined =>
  command === undefined || oneLine(command) !== command ? undefined : command

/** A text without the command that it ends with, where that is said elsewhere. */
export const withoutCommand = (text: string, command: string | undefined): string => {
  if (command === undefined || !text.endsWith(`: ${command}`)) return text
  const rest = text.slice(0, -command.length - 2)
  const end = rest.lastIndexOf(". ")
  return end === -1 ? `${rest}.` : rest.slice(0, end + 1)
}

/** Keeps the file, under another name; and what was moved away before, unless a person says otherwise. */
export const moveAwayCommand = (path: string): string => `mv -i ${quoted(path)} ${quoted(`${path}.damaged`)}`
