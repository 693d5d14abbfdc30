/**
 * What is told of an error that a command ended with: to people in words, to programs as JSON.
 */
import { Console, Duration, Effect, Runtime } from "effect"
import { CliError } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Failure } from "./ExitCode.ts"
import { Json } from "./GlobalFlags.ts"
import { inProgram, ProgramName } from "./ProgramName.ts"

const meant = (suggestions: ReadonlyArray<string>) =>
  suggestions.length === 0 ? "" : ` Did you mean ${suggestions.map(printable).join(" or ")}?`

/** What is wrong with what was typed; it may hold anything. */
const typedWrongly = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `There is no flag ${printable(error.option)} here.${meant(error.suggestions)}`
    case "UnknownSubcommand":
      return `There is no command ${printable([...(error.parent ?? []), error.subcommand].join(" "))}.${meant(error.suggestions)}`
    case "MissingOption":
      return `--${error.option} is missing.`
    case "MissingArgument":
      return `${error.argument.toUpperCase()} is missing.`
    case "UnexpectedArgument":
      // Not repeated: somebody may have typed a secret where none belongs.
      return error.arguments.length === 1
        ? "There is one word too many."
        : `There are ${error.arguments.length} words too many.`
    case "InvalidValue": {
      const what = error.kind === "argument" ? error.option.toUpperCase() : `--${error.option}`
      const expected = oneLine(error.expected)
        .replace(/^(Expected:?|Schema validation failed:) ?(expected )?/i, "")
        // What can be chosen, as a type of TypeScript.
        .replace(/^"[^"]*"(?: \| "[^"]*")+$/, (names) => names.replaceAll('"', "").replaceAll(" | ", ", "))
      return error.value === ""
        ? `${what} has no value. Expected: ${expected}`
        : `${what} cannot be “${printable(error.value)}”. Expected: ${expected}`
    }
    default:
      return oneLine(error.message)
  }
}

/**
 * In words: what happened, what is safe, what to type next. Printable, without a line end, and in several lines only for
 * what was typed wrongly. Commands in it are those of `tokenkeep`.
 */
export const inWords = (error: Failure): string => {
  if ("errors" in error) {
    return [...error.errors.map(typedWrongly), `See: ${error.commandPath.join(" ")} --help`].join("\n")
  }
  return error._tag === "ConfigError"
    ? `The environment is not as it must be. ${oneLine(error.message)}`
    : error.message
}

/** `TokenNotFound` is `TOKEN_NOT_FOUND`. */
const codeOf = (tag: string) => tag.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()

/**
 * For programs. `code` is the error's tag in capitals; `retryAfterSeconds` is whole seconds, rounded up, and only there
 * where the error says so. `program` is what is typed before `login` and the like, as in {@link ProgramName}.
 */
export const toJson = (error: Failure, program = "tokenkeep") => {
  if ("errors" in error) return { version: 1, error: { code: "USAGE_ERROR", message: inWords(error) } }
  const account = "account" in error ? error.account : undefined
  const retryAfter = "retryAfter" in error ? error.retryAfter : undefined
  return {
    version: 1,
    error: {
      code: codeOf(error._tag),
      message: inProgram(program, inWords(error)),
      ...(Duration.isDuration(retryAfter) && { retryAfterSeconds: Math.ceil(Duration.toSeconds(retryAfter)) }),
      ...(account !== undefined && { accounts: [String(account)] }),
    },
  }
}

/** What is said of a defect. */
export const unexpected =
  "Something unexpected happened inside; what is kept is safe. With --log-level debug it says where."

/** Where a defect came up, and of what kind it is. Its message may hold anything, a token too. */
export const placesOf = (defect: unknown): ReadonlyArray<string> =>
  defect instanceof Error
    ? [defect.name, ...(defect.stack ?? "").split("\n").filter((line) => /^ +at /.test(line))].map(oneLine)
    : [typeof defect]

/**
 * Marks an error the way of `effect/cli`, so that whichever program the command is mounted in says it in our words, and
 * ends with our exit code. Where another program reads, it is told here.
 */
export const mark = Effect.fnUntraced(function* (error: Failure) {
  const program = yield* ProgramName
  const isForProgram = yield* Json
  if (isForProgram) yield* Console.log(ascii(toJson(error, program)))
  Object.assign(error, {
    [Runtime.errorExitCode]: ExitCode.of(error),
    ...(isForProgram
      ? // A command within may have had words for people.
        { [Runtime.errorReported]: false, [CliError.userMessage]: undefined }
      : { [CliError.userMessage]: inProgram(program, inWords(error)) }),
  })
})
