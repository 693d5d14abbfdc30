#!/usr/bin/env node
/**
 * The executable: answers at once what it can, and is the whole program otherwise. Loads nothing of Effect by itself.
 */
import * as CompileCache from "./quick/CompileCache.ts"
import * as Quick from "./quick/Quick.ts"
import * as Whole from "./quick/Whole.ts"

// Not from node:process: to import that makes streams of stdin, stdout and stderr, which takes ten milliseconds.
const { argv, env } = process

Quick.run(argv.slice(2), env).then((isAnswered) => {
  if (isAnswered) return undefined
  return Promise.resolve(env)
    .then(CompileCache.enable)
    .catch(() => undefined)
    .then(() => Whole.load(env))
})
