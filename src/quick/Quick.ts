/**
 * Answers what can be answered at once, exactly as the whole program would. Whatever else there is to say, the whole program
 * says it.
 */
import { write } from "node:fs"
import { stdout } from "node:process"
import { isatty } from "node:tty"
import * as HelpTexts from "./HelpTexts.ts"
import * as HostToken from "./HostToken.ts"
import type { Environment } from "./Places.ts"
import * as StoredToken from "./StoredToken.ts"
import * as Wish from "./Wish.ts"

/** What is to be said on stdout; undefined if that is for the whole program. Throws, or rejects, likewise. */
export const answer = (
  args: ReadonlyArray<string>,
  env: Environment,
  isTerminal: boolean,
): string | undefined | Promise<string | undefined> => {
  const wish = Wish.of(args)
  if (wish === undefined) return HelpTexts.find(args, env, isTerminal)
  // A person is told what it is that is on the screen.
  if (isTerminal) return undefined
  const { TOKENKEEP_SOCKET: path } = env
  return path === undefined ? StoredToken.find(wish, env) : path === "" ? undefined : HostToken.find(wish, path, env)
}

/** Says it; whoever read what is said here may be gone. */
const say = (text: string): void =>
  write(1, text, (error, written) => {
    if (error?.code === "EAGAIN") stdout.write(text)
    else if (error === null && written < Buffer.byteLength(text)) stdout.write(Buffer.from(text).subarray(written))
  })

/** Whether these arguments were answered. */
export const run = (args: ReadonlyArray<string>, env: Environment): Promise<boolean> =>
  Promise.resolve()
    .then(() => answer(args, env, isatty(1)))
    .catch(() => undefined)
    .then((said) => {
      if (said !== undefined) say(said)
      return said !== undefined
    })
