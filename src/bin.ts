#!/usr/bin/env node
/**
 * The executable: answers at once what it can, and is the whole program otherwise. Loads nothing of Effect by itself.
 */
import { argv, env } from "node:process"
import * as CompileCache from "./quick/CompileCache.ts"
import * as Quick from "./quick/Quick.ts"
import * as Whole from "./quick/Whole.ts"

Quick.run(argv.slice(2), env).then((isAnswered) => {
  if (isAnswered) return undefined
  return Promise.resolve(env)
    .then(CompileCache.enable)
    .catch(() => undefined)
    .then(() => Whole.load(env))
})
