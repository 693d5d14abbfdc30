/**
 * Answers what can be answered at once, exactly as the whole program would. Whatever else there is to say, the whole program
 * says it.
 */
import { write } from "node:fs"
import * as HostBinding from "../helpers/HostBinding.ts"
import * as Configuration from "./Configuration.ts"
import * as RecordedHelp from "./RecordedHelp.ts"
import * as HostToken from "./HostToken.ts"
import { type Environment, isPlain, placesIn } from "./Places.ts"
import * as Stdin from "./Stdin.ts"
import * as StoredToken from "./StoredToken.ts"
import { isTerminal } from "./Terminal.ts"
import * as Wish from "./Wish.ts"

/** Where it is asked from. */
export interface Surroundings {
  readonly env: Environment
  readonly isTerminal: boolean
  /** What is on stdin, to its end. */
  readonly stdin: () => Promise<string | undefined>
}

/** What is to be said on stdout; undefined if that is for the whole program. Throws, or rejects, likewise. */
export const answer = (
  args: ReadonlyArray<string>,
  { env, isTerminal, stdin }: Surroundings,
): string | undefined | Promise<string | undefined> => {
  const request = Wish.of(args, env)
  if (request === undefined) return RecordedHelp.find(args, env, isTerminal)
  // A person is told what it is that is on the screen.
  if (isTerminal) return undefined
  const places = placesIn(env)
  if (places === undefined || !isPlain(env)) return undefined
  const config = Configuration.read(places.configFile)
  if (!Configuration.isWithoutPlugins(config)) return undefined
  const { hosts, mistakes } = HostBinding.read(config["hosts"])
  if (mistakes.length > 0) return undefined
  const { TOKENKEEP_SOCKET: path } = env
  if (path === "" || (path === undefined && !Configuration.isSilent(config))) return undefined
  const found = (text: string) => {
    const wish = request.wish(hosts, text)
    if (wish === undefined) return undefined
    if (wish === "nothing") return ""
    return path === undefined ? StoredToken.find(wish, places, config) : HostToken.find(wish, path, env)
  }
  return request.isRead ? stdin().then((text) => (text === undefined ? undefined : found(text))) : found("")
}

/** Says what was not taken at once. */
const sayOn = (rest: string | Uint8Array) => process.stdout.on("error", () => {}).write(rest)

/** Says it; whoever read what is said here may be gone. */
const say = (text: string): void => {
  if (text === "") return
  write(1, text, (error, written) => {
    if (error?.code === "EAGAIN") sayOn(text)
    else if (error === null && written < Buffer.byteLength(text)) sayOn(Buffer.from(text).subarray(written))
  })
}

/** Whether these arguments were answered. */
export const run = (args: ReadonlyArray<string>, env: Environment): Promise<boolean> =>
  Promise.resolve()
    .then(() => answer(args, { env, isTerminal: isTerminal(1), stdin: Stdin.read }))
    .catch(() => undefined)
    .then((said) => {
      if (said === undefined) Stdin.giveBack()
      else say(said)
      return said !== undefined
    })
