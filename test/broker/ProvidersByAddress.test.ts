/**
 * What is told, and remembered, of servers that say themselves where to log in, and may say anything.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { CurrentPeer } from "../../src/broker/CurrentPeer.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as ProvidersByAddress from "../../src/broker/ProvidersByAddress.ts"
import { Connected } from "../../src/domain/Peer.ts"
import { granterOf } from "../../src/oauth/Provider.ts"
import { type Answer, ProviderFetch } from "../../src/oauth/ProviderFetch.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const answered = (status: number, json?: object): Answer => ({
  status,
  headers: new Headers(),
  text: Redacted.make(""),
  json: json === undefined ? Option.none() : Option.some(Redacted.make({ ...json })),
})

/** Each host is an MCP server with its logins at `id.example`, whose pages are somewhere else. */
const fetch = ProviderFetch.of({
  send: (address) => {
    const { host, origin, pathname } = new URL(address)
    if (pathname === "/mcp") return Effect.succeed(answered(401))
    if (pathname.startsWith("/.well-known/oauth-protected-resource")) {
      const scopes_supported = Array.from({ length: 60 }, (_, index) => `scope-${index}`)
      const resource = `${origin}/mcp`
      return Effect.succeed(
        answered(200, { resource, authorization_servers: [`https://id.${host}`], scopes_supported }),
      )
    }
    if (pathname.startsWith("/.well-known/")) {
      return Effect.succeed(
        answered(200, {
          issuer: origin,
          authorization_endpoint: "https://bank.example/authorize",
          token_endpoint: `${origin}/token`,
          registration_endpoint: `${origin}/register`,
          code_challenge_methods_supported: ["S256"],
        }),
      )
    }
    return Effect.succeed(answered(201, { client_id: "c" }))
  },
})

const layer = ProvidersByAddress.layerNoDeps.pipe(
  Layer.provide([Providers.layerMemory([]), Layer.succeed(ProviderFetch, fetch), TemporaryHome.layerConfig()]),
  Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto, NodeServices.layer]),
)

const bySandbox = Effect.provideService(CurrentPeer, Connected({ uid: 1, grant: "0badcafe" }))

describe("a server that says itself where to log in", () => {
  it.effect("cannot send a person to another host, or ask for more, without a word of it", () =>
    Effect.gen(function* () {
      const { notice = "" } = yield* (yield* Providers).prepare("https://mcp.example/mcp")
      assert.include(
        notice,
        "has its logins at id.mcp.example (and at bank.example), and asks there for: scope-0 scope-1",
      )
      const shown = notice.match(/scope-\d+/g)?.length ?? 0
      assert.include(notice, `and ${60 - shown} more`)
      const long = yield* (yield* Providers).prepare(`https://${"a".repeat(60)}.${"b".repeat(60)}.evil.example/mcp`)
      assert.include(long.notice, ".evil.example has its logins at …")
      assert.include(long.notice, ".evil.example (and at bank.example)")
    }).pipe(Effect.provide(layer)),
  )

  it.effect("is remembered where the host's person logs in, however many logins sandboxes begin", () =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const name = "https://mcp.example/mcp"
      const provider = yield* providers.prepare(name)
      yield* Effect.forEach(
        Array.from({ length: 260 }, (_, index) => `https://mcp${index}.example/mcp`),
        (other) => bySandbox(providers.prepare(other)),
        { concurrency: 4 },
      )
      yield* providers.settle(name, granterOf(provider))
      assert.deepStrictEqual(yield* providers.list, [name])
    }).pipe(Effect.provide(layer)),
  )
})
