/**
 * Makes ourselves known to an authorization server (RFC 7591): a client for this program, which keeps no secret unless the
 * server gives it one.
 */
import { DateTime, Effect, Option, Redacted, Schema } from "effect"
import type { Remedy } from "../domain/Errors.ts"
import { Secret } from "../domain/Token.ts"
import { codeIn } from "./ErrorMeaning.ts"
import type { Guard } from "./Guard.ts"
import { DiscoveryFailed, type NamedServer } from "./ProtectedResource.ts"
import { shown } from "./ProviderFailure.ts"
import type { ProviderFetch } from "./ProviderFetch.ts"

/** What we are to one authorization server. */
export const Client = Schema.Struct({
  clientId: Schema.NonEmptyString,
  clientSecret: Schema.optionalKey(Secret),
  /** When the secret is worth nothing any more. */
  secretExpiresAt: Schema.optionalKey(Schema.DateTimeUtcFromString),
  authentication: Schema.optionalKey(Schema.Literals(["basic", "post"])),
  /** What it may ask for. */
  scopes: Schema.Array(Schema.String),
})
export type Client = typeof Client.Type

/** RFC 8252 section 7.3: the port is the one that is free at the time. */
export const redirectUris = ["http://127.0.0.1/callback"] as const

/** RFC 6749 appendices A.1 and A.2; and longer than any is, because it is kept. */
const Word = Schema.String.check(Schema.isPattern(/^[\x20-\x7e]{0,8192}$/))

/** RFC 7591 section 3.2.1. */
const Registered = Schema.Struct({
  client_id: Word.check(Schema.isNonEmpty()),
  client_secret: Schema.optionalKey(Schema.NullOr(Schema.RedactedFromValue(Word))),
  client_secret_expires_at: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  token_endpoint_auth_method: Schema.optionalKey(Schema.NullOr(Schema.String)),
})
const decode = Schema.decodeUnknownOption(Registered)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

/** Registers a client. The server keeps it, whatever becomes of us. */
export const register = Effect.fn("ClientRegistration.register")(function* (
  fetch: ProviderFetch["Service"],
  address: string,
  { issuer, metadata, scopes }: NamedServer,
  guard: Guard,
) {
  const stop = (what: string, remedy: Remedy = "change") => new DiscoveryFailed({ resource: address, what, remedy })
  const { host } = new URL(issuer)
  const endpoint = metadata.registration_endpoint
  if (endpoint === undefined) return yield* stop(`${host} lets no program register itself`)
  const methods = metadata.token_endpoint_auth_methods_supported ?? ["none"]
  const method =
    ["none", "client_secret_basic", "client_secret_post"].find((known) => methods.includes(known)) ?? "none"
  const answer = yield* fetch
    .send(
      endpoint,
      {
        method: "POST",
        headers: { accept: "application/json", "content-type": "application/json" },
        body: JSON.stringify({
          client_name: "tokenkeep",
          redirect_uris: redirectUris,
          grant_types: [
            "authorization_code",
            "refresh_token",
            ...(metadata.device_authorization_endpoint === undefined ? [] : [deviceGrant]),
          ],
          response_types: ["code"],
          token_endpoint_auth_method: method,
          application_type: "native",
          ...(scopes.length > 0 && { scope: scopes.join(" ") }),
        }),
      },
      guard,
    )
    .pipe(Effect.mapError(() => stop(`this program could not be registered at ${host}, which gave no answer`, "wait")))
  const body = Option.map(answer.json, Redacted.value)
  if (answer.status !== 201 && answer.status !== 200) {
    const code = Option.getOrElse(
      shown(Option.getOrUndefined(Option.flatMap(body, codeIn))),
      () => `HTTP ${answer.status}`,
    )
    const remedy = answer.status >= 500 || answer.status === 429 ? "wait" : "change"
    return yield* stop(`${host} refuses to register this program (${code})`, remedy)
  }
  const registered = Option.flatMap(body, decode)
  if (Option.isNone(registered))
    return yield* stop(`${host} registered this program with an answer that makes no sense`)
  return clientOf(registered.value, scopes)
})

const clientOf = (registered: typeof Registered.Type, scopes: ReadonlyArray<string>): Client => {
  const { client_id: clientId, client_secret: secret, client_secret_expires_at: expiry } = registered
  const method = registered.token_endpoint_auth_method ?? "client_secret_basic"
  if (method === "none" || secret === undefined || secret === null || Redacted.value(secret) === "") {
    return { clientId, scopes }
  }
  // RFC 7591 section 3.2.1: 0 if it never does.
  const expires = typeof expiry === "number" && expiry > 0 ? DateTime.make(expiry * 1000) : Option.none()
  return {
    clientId,
    clientSecret: secret,
    authentication: method === "client_secret_post" ? "post" : "basic",
    ...(Option.isSome(expires) && { secretExpiresAt: DateTime.toUtc(expires.value) }),
    scopes,
  }
}

/** Whether the client can still be used to ask for these. */
export const isGoodFor = (client: Client, scopes: ReadonlyArray<string>, now: DateTime.Utc): boolean =>
  scopes.every((scope) => client.scopes.includes(scope)) &&
  (client.secretExpiresAt === undefined || DateTime.isGreaterThan(client.secretExpiresAt, now))
