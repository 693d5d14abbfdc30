/**
 * The command makes no sense as it was typed, in a way that the parser cannot see. Ends the process with 2, as the
 * parser's own errors do.
 */
import { Data } from "effect"

export class UsageError extends Data.TaggedError("UsageError")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}
