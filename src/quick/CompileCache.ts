/**
 * Where Node keeps what it compiled of this program: a folder of this user. Node's own choice is one that other users can make
 * first, and they would have their code run here.
 */
import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { dirname, join } from "node:path"
import { platform } from "node:process"
import { groupOrOthersMayWrite, uid } from "../system/Ownership.ts"
import type { Environment } from "./Places.ts"

const isPath = (path: string | undefined): path is string => path !== undefined && path.startsWith("/")

/** The user's folder for what can be made again, as the system has it. */
const userCache = (env: Environment): string | undefined => {
  const { HOME: home, LOCALAPPDATA: local, XDG_CACHE_HOME: said } = env
  if (platform === "win32") return local
  if (isPath(said)) return said
  return isPath(home) ? join(home, ...(platform === "darwin" ? ["Library", "Caches"] : [".cache"])) : undefined
}

const isOnlyOurs = ({ mode, uid: owner }: Stats): boolean =>
  platform === "win32" || (owner === uid() && (mode & groupOrOthersMayWrite) === 0)

/** Has it kept there, unless the environment says where, or that it is not to be. Throws if that is not possible. */
export const enable = (env: Environment): void => {
  if (env["NODE_COMPILE_CACHE"] || env["NODE_DISABLE_COMPILE_CACHE"]) return
  const own = env["TOKENKEEP_HOME"]
  const parent = isPath(own) ? own : userCache(env)
  if (parent === undefined) return
  const folder = join(parent, ...(isPath(own) ? ["cache"] : ["tokenkeep", "compiled"]))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Whoever may change what it is in puts another one in its place after this look.
  const isOurs = isOnlyOurs(statSync(parent)) && isOnlyOurs(statSync(dirname(folder))) && isOnlyOurs(lstatSync(folder))
  if (isOurs && lstatSync(folder).isDirectory()) enableCompileCache(folder)
}
