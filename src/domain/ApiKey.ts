/**
 * API keys: secrets that a person was given elsewhere, and that programs send as they are. They do not expire here.
 */
import { Schema } from "effect"
import { Name } from "./AccountKey.ts"

/** What an API key is called. 1 to 200 characters, none of them a control character. */
export const ApiKeyName = Name

/** As many characters as servers take in all headers of a request; with it a reply stays far below the largest frame. */
export const longest = 16_384

/** A key that can be sent in a header (RFC 9110 section 5.5): printable ASCII, with spaces at most in between. */
export const ApiKey = Schema.RedactedFromValue(
  Schema.String.check(Schema.isMaxLength(longest), Schema.isPattern(/^[!-~](?:[ -~]*[!-~])?$/)),
)
