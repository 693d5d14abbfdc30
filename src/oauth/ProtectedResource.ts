/**
 * Where to log in for a server that says so itself (RFC 9728, RFC 8414, as the Model Context Protocol has them): it refuses
 * a request without a token, names its metadata, that names an authorization server, and that its endpoints.
 *
 * Each of them may be somebody else's, so each must be what the one before it said: the metadata is about this resource, the
 * issuer is the one that was named, and all are within the guard. Nothing here is secret yet.
 */
import { Data, Effect, Option, Redacted, Schema } from "effect"
import * as oauth from "oauth4webapi"
import type { Remedy } from "../domain/Errors.ts"
import { addCommand } from "../domain/LoginCommand.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import { type Guard, reachOf } from "./Guard.ts"
import type { JsonObject } from "./JsonObject.ts"
import * as SecureUrl from "./SecureUrl.ts"
import type { Answer, FetchFailure, ProviderFetch } from "./ProviderFetch.ts"

/** An authorization server, as a resource has named it. */
export interface NamedServer {
  /** What the token is for, in the words of the resource (RFC 8707). */
  readonly resource: string
  readonly issuer: string
  readonly metadata: ServerMetadata
  /** What to ask for. */
  readonly scopes: ReadonlyArray<string>
}

/** Why a server does not tell where to log in. */
export class DiscoveryFailed extends Data.TaggedError("DiscoveryFailed")<{
  readonly resource: string
  readonly what: string
  readonly remedy: Remedy
}> {
  override get message(): string {
    const url = URL.parse(this.resource)
    if (url !== null && (url.username !== "" || url.password !== "")) {
      return `Cannot log in at ${printable(url.host)}: its address must not hold a user name or password. Nothing was sent; leave it out.`
    }
    const failed = `Cannot log in at ${printable(this.resource)}: ${this.what}.`
    // No other way leads to an address that may not be used at all.
    if (Option.isNone(SecureUrl.parse(this.resource)))
      return oneLine(`${failed} Nothing was sent; correct the address.`)
    if (this.remedy === "wait") {
      return oneLine(`${failed} Nothing was stored; check the address and the network, or try again later.`)
    }
    return oneLine(
      `${failed} If you know where its login is, and have a client there, say so with: ${addCommand(this.resource)}`,
    )
  }
}

/** Servers that know of no version take no notice. */
const versioned = { "mcp-protocol-version": "2025-06-18" }

const Strings = Schema.Array(Schema.String)

/** RFC 9728 section 2: what of it matters here. */
const ResourceMetadata = Schema.Struct({
  resource: Schema.String,
  authorization_servers: Schema.optionalKey(Strings),
  scopes_supported: Schema.optionalKey(Strings),
})
type ResourceMetadata = typeof ResourceMetadata.Type
const decodeResource = Schema.decodeUnknownOption(ResourceMetadata)

/** RFC 8414 section 2, RFC 8628 section 4, RFC 9207 section 3: what of it matters here. */
const ServerMetadata = Schema.Struct({
  issuer: Schema.String,
  authorization_endpoint: Schema.String,
  token_endpoint: Schema.String,
  registration_endpoint: Schema.optionalKey(Schema.String),
  device_authorization_endpoint: Schema.optionalKey(Schema.String),
  revocation_endpoint: Schema.optionalKey(Schema.String),
  scopes_supported: Schema.optionalKey(Strings),
  code_challenge_methods_supported: Schema.optionalKey(Strings),
  token_endpoint_auth_methods_supported: Schema.optionalKey(Strings),
  authorization_response_iss_parameter_supported: Schema.optionalKey(Schema.Boolean),
})
export type ServerMetadata = typeof ServerMetadata.Type
const decodeServer = Schema.decodeUnknownOption(ServerMetadata)

const endpoints = [
  "authorization_endpoint",
  "token_endpoint",
  "registration_endpoint",
  "device_authorization_endpoint",
  "revocation_endpoint",
] as const

/** What a client sends first; a server that wants a token refuses it before it looks at it. */
const opening = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "tokenkeep", version: "1" } },
})

/** Finds out where to log in. `resource` is the address of the server, as it is named here. */
export const discover = Effect.fn("ProtectedResource.discover")(function* (
  fetch: ProviderFetch["Service"],
  resource: string,
  guard: Guard,
) {
  const stop = (what: string, remedy: Remedy = "change") => new DiscoveryFailed({ resource, what, remedy })
  const reach = (url: string, whose: string) =>
    Option.isSome(reachOf(url, guard))
      ? Effect.void
      : Effect.fail(stop(`${whose} ${printable(url)} is not an https address that is public`))
  const send = (url: string, init: RequestInit) =>
    fetch.send(url, init, guard).pipe(
      Effect.mapError(({ what }) => {
        const [words, remedy] = inWords[what]
        return stop(`${printable(new URL(url).host)} ${words}`, remedy)
      }),
    )
  const ask = (url: string) => send(url, { headers: { accept: "application/json", ...versioned } })

  /** The first of the documents that is there. */
  const firstOf = Effect.fnUntraced(function* (urls: ReadonlyArray<string>) {
    for (const url of urls) {
      const answer = yield* ask(url)
      if (answer.status === 200 && Option.isSome(answer.json)) {
        // What servers say nothing about they leave out, or say that it is null.
        const said = Object.entries(Redacted.value(answer.json.value)).filter(([, value]) => value !== null)
        return Option.some<JsonObject>(Object.fromEntries(said))
      }
      if (!isNotThere(answer)) return yield* stop(`${new URL(url).host} has trouble (HTTP ${answer.status})`, "wait")
    }
    return Option.none<JsonObject>()
  })

  /** What the resource says of itself, where it says it. */
  const describe = Effect.fnUntraced(function* (named: string | undefined) {
    if (named !== undefined) yield* reach(named, "the address of its metadata")
    const found = yield* firstOf(named === undefined ? wellKnown(resource, "oauth-protected-resource") : [named])
    if (Option.isNone(found)) {
      return named === undefined ? Option.none() : yield* stop("there is no metadata where it says that there is")
    }
    const metadata = decodeResource(found.value)
    if (Option.isNone(metadata)) return yield* stop("its metadata makes no sense")
    if (!isAbout(metadata.value.resource, resource)) {
      return yield* stop(`its metadata is about ${printable(metadata.value.resource)}, which is something else`)
    }
    return metadata
  })

  const ofIssuer = Effect.fnUntraced(function* (issuer: string, mayGuess: boolean) {
    yield* reach(issuer, "its authorization server")
    const found = yield* firstOf(metadataUrls(issuer))
    if (Option.isNone(found)) {
      return mayGuess ? guessed(issuer) : yield* stop(`${new URL(issuer).host} publishes no metadata`)
    }
    const metadata = decodeServer(found.value)
    if (Option.isNone(metadata)) return yield* stop(`the metadata of ${new URL(issuer).host} makes no sense`)
    // RFC 8414 section 3.3. The host alone is written in two ways, with and without a slash.
    if (URL.parse(metadata.value.issuer)?.href !== new URL(issuer).href) {
      return yield* stop(
        `the metadata of ${printable(issuer)} is that of another issuer, ${printable(metadata.value.issuer)}`,
      )
    }
    // Without it nobody can tell whether the server looks at the challenge at all.
    if (metadata.value.code_challenge_methods_supported?.includes("S256") !== true) {
      return yield* stop(`${new URL(issuer).host} does not say that it protects logins with PKCE (S256)`)
    }
    return metadata.value
  })

  if (guard.typed !== undefined && Option.isNone(reachOf(resource, guard))) {
    return yield* stop("its address must begin with https, or lead to this very machine")
  }
  yield* reach(resource, "its address")
  const probe = yield* send(resource, {
    method: "POST",
    headers: { accept: "application/json, text/event-stream", "content-type": "application/json", ...versioned },
    body: opening,
  })
  const challenge = probe.status === 401 ? yield* challengeIn(probe) : {}
  const described = yield* describe(challenge.resource_metadata)
  if (Option.isNone(described) && probe.status !== 401) {
    return yield* stop(`it does not ask for a login (HTTP ${probe.status}), and publishes no metadata about one`)
  }
  const named = Option.flatMap(described, (metadata) => Option.fromUndefinedOr(metadata.authorization_servers?.[0]))
  const issuer = Option.getOrElse(named, () => new URL(resource).origin)
  // Servers of 2025-03-26 had no metadata of their own, and their endpoints at the root unless they said otherwise.
  const metadata = yield* ofIssuer(issuer, Option.isNone(described))
  for (const endpoint of endpoints) {
    const url = metadata[endpoint]
    if (url !== undefined) yield* reach(url, `its ${endpoint.replaceAll("_", " ")}`)
  }
  const wanted = challenge.scope?.split(" ") ?? Option.getOrUndefined(described)?.scopes_supported ?? []
  const server: NamedServer = {
    resource: Option.match(described, { onNone: () => resource, onSome: (metadata) => metadata.resource }),
    issuer: metadata.issuer,
    metadata,
    scopes: scopesOf(wanted, metadata),
  }
  return server
})

const inWords: { readonly [what in FetchFailure["what"]]: readonly [words: string, remedy: Remedy] } = {
  unreachable: ["could not be reached", "wait"],
  "not-public": ["is not at a public address, so nothing was sent there", "change"],
  "connection-lost": ["closed the connection without an answer", "wait"],
  timeout: ["did not answer in time", "wait"],
  "malformed-answer": ["gave an answer that is too large", "change"],
}

/** Servers say in many ways that they have no such document: a refusal, a redirect, a page for people, a broken gateway. */
const isNotThere = ({ status }: Answer): boolean => (status >= 200 && status < 500 && status !== 429) || status === 502

/** The challenge for a bearer token in an answer. oauth4webapi reads it where it reads errors. */
const challengeIn = ({ headers }: Answer) =>
  Effect.tryPromise(() =>
    oauth.processDynamicClientRegistrationResponse(
      new Response(null, { status: 401, headers: { "www-authenticate": headers.get("www-authenticate") ?? "" } }),
    ),
  ).pipe(
    Effect.as<oauth.WWWAuthenticateChallengeParameters>({}),
    Effect.catch(({ cause }) => {
      const challenges = cause instanceof oauth.WWWAuthenticateChallengeError ? cause.cause : []
      return Effect.succeed(challenges.find(({ scheme }) => scheme === "bearer")?.parameters ?? {})
    }),
  )

/** RFC 9728 section 3.1, RFC 8414 section 3.1: between host and path; and then at the root. */
const wellKnown = (address: string, name: string): ReadonlyArray<string> => {
  const { origin, pathname, search } = new URL(address)
  const path = pathname.replace(/\/$/, "")
  const root = `${origin}/.well-known/${name}`
  return path === "" && search === "" ? [root] : [`${root}${path}${search}`, root]
}

const metadataUrls = (issuer: string): ReadonlyArray<string> => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  const urls = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
  ]
  return path === "" ? urls : [...urls, `${origin}${path}/.well-known/openid-configuration`]
}

/**
 * RFC 9728 section 3.3 wants the very same resource. In the wild it is often the whole server, or a part of it that the
 * address is in; so it may be that, on the same host and port, at the end of a segment.
 */
const isAbout = (declared: string, resource: string): boolean => {
  const whole = URL.parse(declared)
  const part = new URL(resource)
  if (whole === null || whole.origin !== part.origin || whole.hash !== "") return false
  if (whole.username !== "" || whole.password !== "") return false
  if (whole.href === part.href) return true
  const path = whole.pathname.replace(/\/$/, "")
  return whole.search === "" && (part.pathname === path || part.pathname.startsWith(`${path}/`))
}

const guessed = (issuer: string): ServerMetadata => {
  const at = (path: string) => new URL(path, issuer).href
  return {
    issuer,
    authorization_endpoint: at("/authorize"),
    token_endpoint: at("/token"),
    registration_endpoint: at("/register"),
  }
}

/** More of them than anybody has; an authorization request is an address. */
const mostScopes = 64

/** RFC 6749 section 3.3. A refresh token is given for `offline_access`, where that is known. */
const scopesOf = (wanted: ReadonlyArray<string>, { scopes_supported: known = [] }: ServerMetadata) => {
  const scopes = wanted.filter((scope) => /^[!#-[\]-~]{1,200}$/.test(scope)).slice(0, mostScopes)
  const offline = known.includes("offline_access") ? ["offline_access"] : []
  return [...new Set([...scopes, ...offline])]
}
