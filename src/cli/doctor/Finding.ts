/**
 * What `doctor` finds.
 */
import { oneLine } from "../../domain/RemoteText.ts"
import { typeable, withoutCommand } from "../NextCommand.ts"

/** A `problem` keeps something from working, or secrets from being safe; a `warning` may. */
export type Level = "ok" | "warning" | "problem" | "skipped"

export interface Finding {
  /** What was looked at, in a word. */
  readonly check: string
  readonly level: Level
  /** What there is, and what is safe. */
  readonly message: string
  /** What mends it. */
  readonly command?: string
}

const at =
  (level: Level) =>
  (check: string, message: string, next?: string): Finding => {
    const command = typeable(next)
    return {
      check,
      level,
      message: withoutCommand(oneLine(message), command),
      ...(command !== undefined && { command }),
    }
  }

export const ok = at("ok")
export const warning = at("warning")
export const problem = at("problem")
export const skipped = at("skipped")

/** What is wrong; or, where nothing is, that. */
export const orOk = (findings: ReadonlyArray<Finding>, check: string, message: string): ReadonlyArray<Finding> =>
  findings.length > 0 ? findings : [ok(check, message)]

/** So many names of one kind are enough to see what is meant. */
const most = 5

/** A finding for each; of very many, the first of them and how many there are. */
export const atMost = (findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> => {
  const [first] = findings
  if (first === undefined || findings.length <= most) return findings
  const others = findings.length - most
  return [...findings.slice(0, most), at(first.level)(first.check, `And ${others} more of this kind.`)]
}
