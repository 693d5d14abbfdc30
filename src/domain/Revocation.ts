/**
 * What became, at the provider, of a login that was forgotten here (RFC 7009).
 *
 * - `revoked`: the provider has made it worthless.
 * - `not_offered`: the provider has no endpoint for that, or is not known any more.
 * - `failed`: the provider could not be asked, or did not agree. The login may be good there still.
 * - `nothing`: nobody was logged in.
 */
import { Schema } from "effect"

export const Revocation = Schema.Literals(["revoked", "not_offered", "failed", "nothing"])
export type Revocation = typeof Revocation.Type
