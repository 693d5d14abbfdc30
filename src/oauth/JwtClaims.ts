/**
 * What a JWT claims, without asking whether it is true: a signature is checked by whoever the token is meant for.
 *
 * Good for planning (when it expires, whose account it is), never for deciding what somebody may do.
 */
import { Option, Result } from "effect"
import { isJsonObject, type JsonObject } from "./JsonObject.ts"

/** The claims (RFC 7519 section 4) of a signed JWT in its compact form (RFC 7515 section 7.1), if it is one. */
export const claimsOf = (jwt: string): Option.Option<JsonObject> => {
  const [, payload, signature, ...more] = jwt.split(".", 4)
  if (payload === undefined || signature === undefined || more.length > 0) return Option.none()
  // Characters that do not belong are skipped: what is left is hardly ever JSON.
  const text = Buffer.from(payload, "base64url").toString("utf8")
  return Option.getSuccess(Result.try((): unknown => JSON.parse(text))).pipe(Option.filter(isJsonObject))
}
