/**
 * Where Node keeps what it compiled of our sources. Most of the time of a test that starts many processes goes into that.
 */
import { fileURLToPath } from "node:url"

export const compileCache = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../node_modules/.cache/compile", import.meta.url)),
}
