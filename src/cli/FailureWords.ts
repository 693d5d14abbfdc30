/**
 * What a person is told of an error that a command ended with.
 */
import { oneLine } from "../domain/RemoteText.ts"

export const of = ({ _tag, message }: { readonly _tag: string; readonly message: string }): string =>
  _tag === "ConfigError" ? `The environment is not as it must be. ${oneLine(message)}` : message
