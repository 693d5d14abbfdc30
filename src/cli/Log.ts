/**
 * What is logged, on stderr: for whoever sits there as sentences, and as lines with times where a program reads, or something
 * runs for long.
 */
import { Effect, Layer, Logger } from "effect"
import { oneLine } from "../domain/RemoteText.ts"
import * as Screen from "./Screen.ts"

/** As a sentence. */
const spoken = Logger.make<unknown, string>(
  ({ message }) => `tokenkeep: ${(Array.isArray(message) ? message : [message]).map(String).map(oneLine).join(" ")}`,
)

/** `typed` is the command line: what runs for long has a log, and whoever asks for a level wants all of it. */
export const layer = (typed: ReadonlyArray<string>) => {
  const hasLog = typed.some((word) => /^(serve|exec|events|--log-level(=.*)?)$/.test(word))
  return Layer.unwrap(
    Effect.map(Screen.stderr, ({ isTerminal }) =>
      Logger.layer([Logger.withConsoleError(isTerminal && !hasLog ? spoken : Logger.formatLogFmt)]),
    ),
  )
}
