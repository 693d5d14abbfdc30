/**
 * Processes of other users than ours. Nobody has to be made for it: the kernel knows only numbers.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, chownSync } from "node:fs"
import * as Programs from "./Programs.ts"

/** Users that there is nobody behind. */
export const others = [4711, 4712] as const
const [someone] = others

const isRoot = process.getuid?.() === 0
const asSomeone = { uid: someone, gid: someone }
const main = Programs.pathOf("tokenkeep")

/** A Python that others may run too; what is first on the path is often in somebody's home. */
export const python = ["/usr/bin/python3", "/usr/local/bin/python3", "python3"].find(
  (command) => spawnSync(command, ["-I", "-S", "-c", ""], isRoot ? asSomeone : {}).status === 0,
)

const mayReadSources = () =>
  spawnSync(process.execPath, ["-e", `fs.readFileSync(${JSON.stringify(main)})`], asSomeone).status === 0

/** Why there can be no process of another user here; undefined if there can. */
export const missing =
  process.platform !== "linux"
    ? "skipped: not Linux"
    : !isRoot
      ? "skipped: only root can be somebody else"
      : python === undefined || !mayReadSources()
        ? "skipped: others may not run Node or python3 here, or read this folder"
        : undefined

const become = `import os, sys
uid = int(sys.argv[1])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
os.execvp(sys.argv[2], sys.argv[2:])`

/** A command that runs the command that follows it as another user, in the same process. */
export const as = (uid: number): ReadonlyArray<string> => [python ?? "python3", "-I", "-S", "-c", become, String(uid)]

/** Gives a folder to another user, who alone may enter it. */
export const give = (folder: string, uid: number): void => {
  chownSync(folder, uid, uid)
  chmodSync(folder, 0o700)
}
