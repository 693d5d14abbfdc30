/**
 * Which URLs may carry a login. Over plain http only to this very machine; never with a user name in it, and never one
 * that a browser would run instead of open.
 */
import { Option, Schema } from "effect"
import { isSecure } from "./SecureAddress.ts"

/**
 * The URL, if it may be used, as it should be printed and opened: re-serialized, so that control characters in the
 * original are percent-encoded (`new URL` accepts them).
 */
export const parse = (text: string): Option.Option<URL> =>
  Option.fromNullOr(URL.parse(text)).pipe(Option.filter(isSecure))

/** A URL of a provider as people write it in a configuration. */
export const SecureUrl = Schema.String.check(
  Schema.makeFilter(
    (text) =>
      Option.isSome(parse(text)) || "expected an https URL (http only on loopback), without user name or password",
  ),
)
