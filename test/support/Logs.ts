/**
 * What is logged, for a test to look at.
 */
import { Array as Arr, Logger } from "effect"

/** The lines that are logged where `layer` is provided, each with its level in front: `Warn There was …`. */
export const make = () => {
  const lines: Array<string> = []
  const logger = Logger.make(
    ({ logLevel, message }) => void lines.push([logLevel, ...Arr.ensure(message).map(String)].join(" ")),
  )
  return { lines, layer: Logger.layer([logger]) }
}
