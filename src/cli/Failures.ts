/**
 * What is told of an error that a command ended with: to people in words, to programs as JSON.
 */
import { Duration } from "effect"
import { CliOutput } from "effect/cli"
import { oneLine } from "../domain/RemoteText.ts"
import type { Failure } from "./ExitCode.ts"

const noColours = CliOutput.defaultFormatter({ colors: false })

/** In words: what happened, what is safe, what to type next. */
export const inWords = (error: Failure): string => {
  if ("errors" in error) {
    return `${noColours.formatErrors(error.errors).trim()}\n\nSee: ${error.commandPath.join(" ")} --help`
  }
  return error._tag === "ConfigError"
    ? `The environment is not as it must be. ${oneLine(error.message)}`
    : error.message
}

/** `TokenNotFound` is `TOKEN_NOT_FOUND`. */
const codeOf = (tag: string) => tag.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()

/** For programs. `code` is the error's tag in capitals. */
export const toJson = (error: Failure) => {
  if ("errors" in error) return { version: 1, error: { code: "USAGE_ERROR", message: inWords(error) } }
  const account = "account" in error ? error.account : undefined
  const retryAfter = "retryAfter" in error ? error.retryAfter : undefined
  return {
    version: 1,
    error: {
      code: codeOf(error._tag),
      message: inWords(error),
      ...(Duration.isDuration(retryAfter) && { retryAfterSeconds: Math.ceil(Duration.toSeconds(retryAfter)) }),
      ...(account !== undefined && { accounts: [String(account)] }),
    },
  }
}
