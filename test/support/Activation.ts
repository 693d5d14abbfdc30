/**
 * A process started as systemd starts a service.
 */
import { fileURLToPath } from "node:url"
import * as OtherUser from "./OtherUser.ts"

const script = fileURLToPath(new URL("activate.py", import.meta.url))

export const isPossible = process.platform === "linux" && OtherUser.python !== undefined

/** A command that runs the command that follows it with a socket in the folder: which, is written in the script. */
export const launcher = (folder: string, how: string): ReadonlyArray<string> => [
  OtherUser.python ?? "",
  "-I",
  "-S",
  script,
  folder,
  how,
]
