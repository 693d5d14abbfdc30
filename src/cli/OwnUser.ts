/**
 * Who runs this program, as the kernel sees it.
 */
import type { Terms } from "../domain/Grant.ts"

/** The number of our user; -1 where users have none. */
export const uid = (): number => process.getuid?.() ?? -1

/** Those who may use a grant unless something else is said: we ourselves, or anybody where users have no numbers. */
export const uids = (): Terms["uids"] => (uid() === -1 ? "any" : [uid()])
