/**
 * Where Node keeps what it compiled of this program: a folder of this user. Node's own choice is one that other users can make
 * first, and they would have their code run here.
 */
import { lstatSync, mkdirSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { join } from "node:path"
import { groupOrOthersMayWrite, uid } from "../system/Ownership.ts"
import type { Environment } from "./Places.ts"

const isPath = (path: string | undefined): path is string => path !== undefined && path.startsWith("/")

/** A folder that is there, and folders to make in it. */
interface Path {
  readonly base: string
  readonly below: ReadonlyArray<string>
}

/** The user's folder for what can be made again, as the system has it. */
const place = (env: Environment): Path | undefined => {
  const { HOME: home, LOCALAPPDATA: local, TOKENKEEP_HOME: own, XDG_CACHE_HOME: said } = env
  if (isPath(own)) return { base: own, below: ["cache"] }
  const below = ["tokenkeep", "compiled"]
  if (process.platform === "win32") return local === undefined ? undefined : { base: local, below }
  if (isPath(said)) return { base: said, below }
  if (!isPath(home)) return undefined
  return { base: home, below: [...(process.platform === "darwin" ? ["Library", "Caches"] : [".cache"]), ...below] }
}

/** Whether nobody else can put something in there. Whoever acts for another user, as by sudo, leaves nothing behind there. */
const isOurs = (folder: string): boolean => {
  const stats = lstatSync(folder, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isDirectory()) return false
  return process.platform === "win32" || (stats.uid === uid() && (stats.mode & groupOrOthersMayWrite) === 0)
}

/** Has it kept there, unless the environment says where, or that it is not to be. Throws if that is not possible. */
export const enable = (env: Environment): void => {
  if (env["NODE_COMPILE_CACHE"] || env["NODE_DISABLE_COMPILE_CACHE"]) return
  const known = place(env)
  if (known === undefined) return
  let folder = known.base
  // Each of them: whoever may change one puts others in the place of those below it.
  if (!isOurs(folder)) return
  for (const name of known.below) {
    folder = join(folder, name)
    if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) mkdirSync(folder, { mode: 0o700 })
    if (!isOurs(folder)) return
  }
  enableCompileCache(folder)
}
