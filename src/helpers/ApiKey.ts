/**
 * What programs read that run a command for a key, such as Claude Code with its `apiKeyHelper`: the key, a line end, and
 * nothing else.
 */
import { type Answer, isSayable, said, unsayable } from "./Handout.ts"

export const answer = (secret: string): Answer => (isSayable(secret) ? said(`${secret}\n`) : unsayable)
