import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import * as ClientRegistration from "../../src/oauth/ClientRegistration.ts"
import type { Guard } from "../../src/oauth/Guard.ts"
import { Metadata } from "../../src/oauth/Metadata.ts"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import type { Provider } from "../../src/oauth/Provider.ts"
import { isAnswerLost } from "../../src/oauth/ProviderFailure.ts"
import * as ProtectedResource from "../../src/oauth/ProtectedResource.ts"
import { ProviderFetch } from "../../src/oauth/ProviderFetch.ts"
import { PublicFetch } from "../../src/oauth/PublicFetch.ts"

const resource = "https://mcp.example/mcp"
const issuer = "https://id.example/tenant"

const metadata = {
  issuer,
  authorization_endpoint: "https://id.example/tenant/authorize",
  token_endpoint: "https://id.example/tenant/token",
  registration_endpoint: "https://id.example/tenant/register",
  code_challenge_methods_supported: ["S256"],
}

type World = { readonly [url: string]: () => Response }

const refusing = (challenge: string) => () =>
  new Response(null, { status: 401, headers: { "www-authenticate": challenge } })

const prm = "https://mcp.example/.well-known/oauth-protected-resource"
const asm = "https://id.example/.well-known/oauth-authorization-server/tenant"

/** All is well. */
const good: World = {
  [resource]: refusing(`Bearer realm="a, b", resource_metadata="${prm}/mcp", scope="read write"`),
  [`${prm}/mcp`]: () => Response.json({ resource, authorization_servers: [issuer], scopes_supported: ["other"] }),
  [asm]: () => Response.json(metadata),
}

const within = <A, E>(
  world: World,
  work: (fetch: ProviderFetch["Service"]) => Effect.Effect<A, E>,
  calls: Array<string> = [],
) => {
  const answer = (reach: string) => (input: string | URL | Request, init?: RequestInit) => {
    const url = String(input instanceof Request ? input.url : input)
    calls.push(`${reach} ${init?.method ?? "GET"} ${url}`)
    return Promise.resolve(world[url]?.() ?? new Response("nothing", { status: 404 }))
  }
  return Effect.flatMap(ProviderFetch, work).pipe(
    Effect.provide(
      ProviderFetch.layer.pipe(
        Layer.provide([
          Layer.succeed(FetchHttpClient.Fetch, answer("typed")),
          Layer.succeed(PublicFetch, answer("public")),
        ]),
      ),
    ),
  )
}

const discover = (world: World, calls?: Array<string>, address = resource, guard: Guard = { typed: address }) =>
  within(world, (fetch) => ProtectedResource.discover(fetch, address, guard), calls)

describe("what a server says of its logins", () => {
  it.effect("is found by its challenge, and asked of public hosts only", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const found = yield* discover(good, calls)
      assert.deepStrictEqual(found, { resource, issuer, metadata, scopes: ["read", "write"] })
      assert.deepStrictEqual(calls, [`typed POST ${resource}`, `typed GET ${prm}/mcp`, `public GET ${asm}`])
    }),
  )

  it.effect("is also found where it has to be, in the order of the RFCs", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const found = yield* discover(
        {
          [resource]: refusing("Bearer"),
          [prm]: () =>
            Response.json({
              resource: "https://mcp.example",
              authorization_servers: [issuer],
              scopes_supported: ["a"],
            }),
          "https://id.example/tenant/.well-known/openid-configuration": () =>
            Response.json({ ...metadata, scopes_supported: ["openid", "offline_access"], revocation_endpoint: null }),
        },
        calls,
      )
      assert.deepStrictEqual(found.scopes, ["a", "offline_access"])
      assert.strictEqual(found.resource, "https://mcp.example")
      assert.deepStrictEqual(
        calls.map((call) => call.split(" ")[2]),
        [
          resource,
          `${prm}/mcp`,
          prm,
          asm,
          "https://id.example/.well-known/openid-configuration/tenant",
          "https://id.example/tenant/.well-known/openid-configuration",
        ],
      )
    }),
  )

  it.effect("is guessed only of a server that refuses, and says nothing at all", () =>
    Effect.gen(function* () {
      const { issuer, metadata, scopes } = yield* discover({ [resource]: refusing("Basic realm=x, Bearer scope=a") })
      assert.strictEqual(issuer, "https://mcp.example")
      assert.strictEqual(metadata.token_endpoint, "https://mcp.example/token")
      assert.deepStrictEqual(scopes, ["a"])
    }),
  )

  it.effect("is about the server, or the whole of which it is a part", () =>
    Effect.gen(function* () {
      for (const [declared, ok] of [
        ["https://mcp.example/mcp", true],
        ["https://mcp.example/mcp/", true],
        ["https://MCP.example", true],
        ["https://mcp.example:443/", true],
        ["https://mcp.example/mc", false],
        ["https://mcp.example/mcp/more", false],
        ["https://mcp.example:8443/mcp", false],
        ["https://mcp.example.evil.example/mcp", false],
        ["http://mcp.example/mcp", false],
        ["https://other.example/mcp", false],
        ["mcp", false],
      ] as const) {
        const said = () => Response.json({ resource: declared, authorization_servers: [issuer] })
        const outcome = yield* Effect.result(discover({ ...good, [`${prm}/mcp`]: said }))
        assert.strictEqual(outcome._tag, ok ? "Success" : "Failure", declared)
      }
    }),
  )

  const server = (changes: object) => ({ [asm]: () => Response.json({ ...metadata, ...changes }) })
  const described = (changes: object) => ({
    [`${prm}/mcp`]: () => Response.json({ resource, authorization_servers: [issuer], ...changes }),
  })
  const pointing = (url: string) => ({ [resource]: refusing(`Bearer resource_metadata="${url}"`) })
  const redirect = (status: number) => () =>
    new Response(null, { status, headers: { location: "https://sink.example/" } })
  const hostile: { readonly [what: string]: readonly [world: World, said: string] } = {
    "names metadata inside a cloud": [pointing("https://169.254.169.254/latest"), "there is no metadata"],
    "names metadata over plain http": [pointing("http://mcp.example/x"), "not an https address that is public"],
    "names metadata on this machine": [pointing("http://127.0.0.1:9/x"), "not an https address that is public"],
    "names metadata by an inside name": [pointing("https://metadata.google.internal/"), "not an https address"],
    "names metadata that is a file": [pointing("file:///etc/passwd"), "not an https address"],
    "names metadata that is not there": [pointing("https://mcp.example/gone"), "there is no metadata where it says"],
    "redirects to its metadata": [{ [`${prm}/mcp`]: redirect(302) }, "there is no metadata where it says"],
    "has metadata without end": [
      { [`${prm}/mcp`]: () => new Response(`{"a":"${"x".repeat(1_100_000)}"}`) },
      "an answer that is too large",
    ],
    "has metadata that is a list": [{ [`${prm}/mcp`]: () => Response.json([]) }, "there is no metadata"],
    "has metadata of the wrong shape": [described({ authorization_servers: "x" }), "makes no sense"],
    "names another resource": [described({ resource: "https://bank.example/" }), "which is something else"],
    "names itself with a password": [described({ resource: "https://:pw@mcp.example/" }), "which is something else"],
    "names an issuer over plain http": [described({ authorization_servers: ["http://id.example"] }), "not an https"],
    "names an issuer inside": [described({ authorization_servers: ["https://intranet"] }), "not an https address"],
    "names an issuer that is no address": [
      described({ authorization_servers: ["id\u001b[31m"] }),
      "not an https address",
    ],
    "names an issuer that is another": [server({ issuer: "https://id.example/other" }), "that of another issuer"],
    "names an issuer that redirects": [{ [asm]: redirect(308) }, "publishes no metadata"],
    "names an issuer in trouble": [{ [asm]: () => new Response(null, { status: 503 }) }, "has trouble (HTTP 503)"],
    "names an issuer without PKCE": [server({ code_challenge_methods_supported: ["plain"] }), "PKCE (S256)"],
    "names an issuer silent of PKCE": [server({ code_challenge_methods_supported: null }), "PKCE (S256)"],
    "has its tokens over plain http": [server({ token_endpoint: "http://id.example/t" }), "its token endpoint"],
    "registers on this machine": [server({ registration_endpoint: "http://127.0.0.1/r" }), "its registration endpoint"],
    "revokes inside": [server({ revocation_endpoint: "https://vault.internal/" }), "its revocation endpoint"],
    "logs in by a script": [server({ authorization_endpoint: "javascript:alert(1)" }), "its authorization endpoint"],
    "has no token endpoint": [server({ token_endpoint: null }), "makes no sense"],
    "asks for no login": [
      { [resource]: () => new Response("hello"), [`${prm}/mcp`]: () => new Response() },
      "does not ask",
    ],
  }
  for (const [what, [world, said]] of Object.entries(hostile)) {
    it.effect(`is not believed of one that ${what}`, () =>
      Effect.gen(function* () {
        const calls: Array<string> = []
        const failure = yield* Effect.flip(discover({ ...good, ...world }, calls))
        assert.include(failure.message, said)
        assert.include(failure.message, failure.remedy === "wait" ? "or try again later" : "tokenkeep provider add")
        assert.notMatch(failure.message, /\p{Cc}/u)
        // Whatever is reached beyond the host that was typed is reached in public.
        for (const call of calls) {
          if (call.startsWith("typed")) assert.include(call, "https://mcp.example/")
          assert.notMatch(call, /sink\.example|http:|internal|intranet/)
        }
      }),
    )
  }

  it.effect("is asked in public only, when nobody has typed the address", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* discover(good, calls, resource, {})
      assert.isTrue(calls.every((call) => call.startsWith("public")))
      const refused = yield* Effect.flip(discover({}, calls, "http://127.0.0.1:8080/mcp", {}))
      assert.include(refused.message, "not an https address that is public")
      const plain = yield* Effect.flip(discover({}, calls, "http://10.0.0.1/mcp"))
      assert.include(plain.message, "must begin with https")
      assert.notInclude(plain.message, "provider add")
      const { message } = new ProtectedResource.DiscoveryFailed({
        resource: "https://me:hunter2@mcp.example/mcp",
        what: "it is odd",
        remedy: "change",
      })
      assert.include(message, "must not hold a user name or password")
      assert.notInclude(message, "hunter2")
      assert.strictEqual(calls.length, 3)
    }),
  )
})

describe("a login at a server that was found", () => {
  it.effect("sends its tokens within the guard too, and says when its client is not known any more", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      let refusals = 0
      const provider = (token: string): Provider => ({
        name: resource,
        clientId: "c",
        secret: Option.none(),
        scopes: [],
        flows: ["browser_redirect"],
        redirectUris: [],
        publicFields: [],
        endpoints: { token, revocation: token },
        guard: { typed: resource },
        whenClientRefused: Effect.sync(() => refusals++),
      })
      const send = (token: string) =>
        Effect.gen(function* () {
          const client = yield* OAuthClient
          const secret = Redacted.make("secret")
          const { redeem } = yield* client.beginRefresh(provider(token))
          const failure = yield* Effect.flip(redeem(secret))
          const { revoke } = Option.getOrThrow(yield* client.beginRevocation(provider(token)))
          assert.deepStrictEqual((yield* Effect.flip(revoke(secret, "refresh_token"))).reason, failure.reason)
          return failure
        }).pipe(Effect.provide(OAuthClient.layerNoDeps.pipe(Layer.provide(Metadata.layerNoDeps))))
      const world = {
        "https://id.example/token": () => Response.json({ error: "invalid_client" }, { status: 401 }),
      }
      const withFetch = (token: string) =>
        within(world, (fetch) => Effect.provideService(send(token), ProviderFetch, fetch), calls)
      for (const token of ["https://vault.internal/", "https://localhost/", "http://127.0.0.1/token"]) {
        const failure = yield* withFetch(token)
        assert.include(failure.message, "not public", token)
        assert.isFalse(isAnswerLost(failure.reason))
      }
      assert.deepStrictEqual(calls, [])
      assert.strictEqual(refusals, 0)
      yield* withFetch("https://id.example/token")
      assert.deepStrictEqual(calls, Array(2).fill("public POST https://id.example/token"))
      assert.strictEqual(refusals, 2)
    }),
  )
})

describe("registering", () => {
  const now = DateTime.makeUnsafe("2026-01-01T00:00:00Z")
  const named = { resource, issuer, metadata, scopes: ["read", "offline_access"] }
  const register = (answer: () => Response, changes: object = {}, sent: Array<string> = []) =>
    within({ [metadata.registration_endpoint]: answer }, (fetch) =>
      ClientRegistration.register(
        {
          send: (url, init, guard) => {
            sent.push(String(init.body))
            return fetch.send(url, init, guard)
          },
        },
        resource,
        { ...named, metadata: { ...metadata, ...changes } },
        {},
      ),
    )

  it.effect("asks for a public client that listens on this machine", () =>
    Effect.gen(function* () {
      const sent: Array<string> = []
      const client = yield* register(
        () => Response.json({ client_id: "c", client_secret: null }, { status: 201 }),
        {},
        sent,
      )
      assert.deepStrictEqual(client, { clientId: "c", scopes: named.scopes })
      assert.deepStrictEqual(JSON.parse(sent[0] ?? ""), {
        client_name: "tokenkeep",
        redirect_uris: ["http://127.0.0.1/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        application_type: "native",
        scope: "read offline_access",
      })
    }),
  )

  it.effect("takes a secret that it is given, for as long as that is good", () =>
    Effect.gen(function* () {
      const expiry = DateTime.toEpochMillis(now) / 1000
      const client = yield* register(
        () =>
          Response.json({
            client_id: "c",
            client_secret: "s3cret",
            client_secret_expires_at: expiry,
            token_endpoint_auth_method: "client_secret_post",
          }),
        { token_endpoint_auth_methods_supported: ["client_secret_post"] },
      )
      assert.strictEqual(Redacted.value(client.clientSecret ?? Redacted.make("")), "s3cret")
      assert.strictEqual(client.authentication, "post")
      assert.isFalse(ClientRegistration.isGoodFor(client, ["read"], now))
      const before = DateTime.subtract(now, { seconds: 1 })
      assert.isTrue(ClientRegistration.isGoodFor(client, ["read"], before))
      assert.isFalse(ClientRegistration.isGoodFor(client, ["read", "write"], before))
      const forever = yield* register(() =>
        Response.json({ client_id: "c", client_secret: "s", client_secret_expires_at: 0 }),
      )
      assert.isTrue(ClientRegistration.isGoodFor(forever, ["read"], now))
      assert.strictEqual(forever.authentication, "basic")
    }),
  )

  for (const [what, answer, said] of [
    ["a refusal", () => Response.json({ error: "invalid_redirect_uri" }, { status: 400 }), "(invalid_redirect_uri)"],
    ["a refusal that is no code", () => Response.json({ error: "\u001b[31m" }, { status: 403 }), "(HTTP 403)"],
    [
      "a redirect",
      () => new Response(null, { status: 307, headers: { location: "https://sink.example" } }),
      "(HTTP 307)",
    ],
    ["no client", () => Response.json({}, { status: 201 }), "makes no sense"],
    ["a client that is no word", () => Response.json({ client_id: "\u009b2J" }, { status: 201 }), "makes no sense"],
    ["a client without end", () => Response.json({ client_id: "c".repeat(9000) }, { status: 201 }), "makes no sense"],
    ["a page", () => new Response("<html>", { status: 200 }), "makes no sense"],
  ] as const) {
    it.effect(`fails on ${what}`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(register(answer))
        assert.include(failure.message, said)
      }),
    )
  }

  it.effect("fails where no program may", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(register(() => new Response(), { registration_endpoint: undefined }))
      assert.include(failure.message, "lets no program register itself")
    }),
  )
})
