/**
 * What a tool says on stdin, to its end; and how the whole program reads it after all.
 */
import { isUtf8 } from "node:buffer"
import { read as readSome } from "node:fs"
import { isTerminal } from "./Terminal.ts"

/** More than a tool says. */
const longest = 65_536

let taken: Buffer = Buffer.alloc(0)

const readAll = (): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const chunk = Buffer.alloc(4096)
  const next = () =>
    readSome(0, chunk, 0, chunk.length, null, (error, count) => {
      if (error !== null || count === 0) return resolve(error === null)
      taken = Buffer.concat([taken, chunk.subarray(0, count)])
      return taken.length > longest ? resolve(false) : next()
    })
  next()
  return promise
}

/** The text; undefined if it is none, or nobody but a person is there to say it. */
export const read = (): Promise<string | undefined> =>
  isTerminal(0)
    ? Promise.resolve(undefined)
    : readAll().then((isWhole) => (isWhole && isUtf8(taken) && taken[0] !== 0xef ? taken.toString("utf8") : undefined))

/** Puts what was read back, so that it is read again. */
export const giveBack = (): void => {
  if (taken.length > 0) process.stdin.unshift(taken)
}
