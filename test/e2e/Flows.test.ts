/**
 * A sandbox, a socket, a host with files, and a real authorization server.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import type { FileSystem } from "effect"
import { Duration, Effect, Exit, Layer, Option, Redacted, Schedule } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import type { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as BrokerClient from "../../src/client/BrokerClient.ts"
import { Unauthorized } from "../../src/domain/Errors.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Connected } from "../../src/domain/Peer.ts"
import { Admission } from "../../src/server/Admission.ts"
import { everything } from "../../src/server/Rights.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import { layerServer, overSocket } from "../support/BrokerOverSocket.ts"
import { visit, type Will } from "../support/Person.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("real")

/** A host that knows the server as `real`, with its tokens in files. */
const host = (server: AuthorizationServer.AuthorizationServer) =>
  Layer.effectDiscard(
    Effect.flatMap(Providers, (providers) =>
      providers.set("real", {
        issuer: server.issuer,
        clientId: server.clientId,
        scopes: ["openid", "offline_access"],
        flows: ["device_code", "browser_redirect", "pkce_redirect"],
        redirectUris: [AuthorizationServer.loopbackRedirectUri, AuthorizationServer.hostedRedirectUri],
        publicFields: [],
      }),
    ),
  ).pipe(
    Layer.provideMerge(BrokerHost.layer),
    Layer.provideMerge(TemporaryHome.layerConfig({ refreshCooldown: Duration.zero })),
    Layer.provideMerge(NodeServices.layer),
  )

const inSandbox = <A, E>(
  options: AuthorizationServer.Options,
  work: (
    server: AuthorizationServer.AuthorizationServer,
  ) => Effect.Effect<A, E, Broker | TokenStore | BrokerConfig | FileSystem.FileSystem>,
) =>
  Effect.gen(function* () {
    const server = yield* AuthorizationServer.start(options)
    return yield* Effect.provide(work(server), overSocket(host(server)))
  })

const go = (url: string, will: Will = "grant", userCode?: string) =>
  Effect.promise(() => visit(url, { will, ...(userCode !== undefined && { userCode }) }))

const pollToTheEnd = (sessionId: string) =>
  Effect.flatMap(Broker, (broker) =>
    broker
      .poll(sessionId)
      .pipe(Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: ({ status }) => status !== "pending" })),
  )

const storedRefreshToken = Effect.gen(function* () {
  const store = yield* TokenStore
  const { token } = Option.getOrThrow(yield* store.get(account))
  return Redacted.value(token.refreshToken ?? Redacted.make(""))
})

const loggedIn = Effect.gen(function* () {
  const broker = yield* Broker
  const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
  const { url } = yield* go(login.authUrl)
  return yield* broker.exchange(login.sessionId, Redacted.make(url))
})

describe("with a real authorization server", () => {
  it.live("each of the three flows ends in a stored token that refreshes and rotates", () =>
    inSandbox({}, (server) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        for (const flow of ["pkce_redirect", "browser_redirect", "device_code"] as const) {
          const login = yield* broker.initiate(account, { flow })
          const { url } = yield* go(login.authUrl)
          const token =
            flow === "pkce_redirect"
              ? yield* broker.exchange(login.sessionId, Redacted.make(url))
              : yield* Effect.flatMap(pollToTheEnd(login.sessionId), () => broker.getToken(account))
          const before = yield* storedRefreshToken
          assert.isTrue(server.refreshTokens.has(before))
          const refreshed = yield* broker.refreshToken(account)
          assert.notStrictEqual(Redacted.value(refreshed.accessToken), Redacted.value(token.accessToken))
          const after = yield* storedRefreshToken
          assert.notStrictEqual(after, before)
          assert.isTrue(server.refreshTokens.has(after))
          yield* broker.removeToken(account)
        }
        assert.strictEqual(server.calls["refresh_token"], 3)
      }),
    ),
  )

  it.live("a wrong code is refused and uses the session up", () =>
    inSandbox({}, () =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const { url } = yield* go(login.authUrl)
        assert.strictEqual(yield* tagOf(broker.exchange(login.sessionId, Redacted.make("nonsense"))), "ExchangeFailed")
        assert.strictEqual(yield* tagOf(broker.exchange(login.sessionId, Redacted.make(url))), "SessionUsed")
      }),
    ),
  )

  it.live("of two exchanges at once one wins, and a replay finds no session", () =>
    inSandbox({}, (server) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const { url } = yield* go(login.authUrl)
        const exchange = broker.exchange(login.sessionId, Redacted.make(url))
        const exits = yield* Effect.all([Effect.exit(exchange), Effect.exit(exchange)], { concurrency: 2 })
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        assert.strictEqual(yield* tagOf(exchange), "SessionNotFound")
        assert.strictEqual(server.calls["authorization_code"], 1)
      }),
    ),
  )

  it.live("a person who says no ends each flow with access denied", () =>
    inSandbox({}, () =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const pasted = yield* broker.initiate(account, { flow: "pkce_redirect" })
        const { url } = yield* go(pasted.authUrl, "deny")
        assert.strictEqual(yield* tagOf(broker.exchange(pasted.sessionId, Redacted.make(url))), "AccessDenied")
        const browser = yield* broker.initiate(account, { flow: "browser_redirect" })
        yield* go(browser.authUrl, "deny")
        assert.strictEqual(yield* tagOf(pollToTheEnd(browser.sessionId)), "AccessDenied")
        const device = yield* broker.initiate(account, { flow: "device_code" })
        yield* go(device.authUrl, "deny")
        assert.strictEqual(yield* tagOf(pollToTheEnd(device.sessionId)), "AccessDenied")
      }),
    ),
  )

  it.live("a device code that nobody enters expires", () =>
    inSandbox({ deviceCodeSeconds: 7 }, (server) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account, { flow: "device_code" })
        assert.isAtMost(Duration.toSeconds(login.expiresIn), 7)
        assert.strictEqual(yield* tagOf(pollToTheEnd(login.sessionId)), "SessionExpired")
        assert.strictEqual(server.calls["urn:ietf:params:oauth:grant-type:device_code"], 1)
      }),
    ),
  )

  it.live(
    "a refresh token that somebody else has used ends the login by the provider's word, and nothing is deleted",
    () =>
      inSandbox({}, () =>
        Effect.gen(function* () {
          const broker = yield* Broker
          const store = yield* TokenStore
          yield* loggedIn
          const early = Option.getOrThrow(yield* store.get(account))
          yield* broker.refreshToken(account)
          yield* store.set(account, early)
          assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
          assert.isTrue(Option.isSome(yield* store.get(account)))
        }),
      ),
  )

  it.live("another peer may not go on with a session, and its owner still may after that", () =>
    Effect.gen(function* () {
      const server = yield* AuthorizationServer.start()
      const byCapability = Layer.succeed(
        Admission,
        Admission.of({
          label: "test",
          hears: () => true,
          admit: (_, capability) =>
            Option.match(capability, {
              onNone: () => Effect.fail(Unauthorized.make({})),
              onSome: (token) =>
                Effect.succeed({
                  peer: Connected({ uid: 1, grant: Redacted.value(token) }),
                  label: "test",
                  rights: everything,
                  whenDismissed: () => () => {},
                }),
            }),
        }),
      )
      yield* Effect.gen(function* () {
        const { path } = yield* UnixServer
        const as = <A, E>(name: string, work: Effect.Effect<A, E, Broker>) =>
          Effect.provide(work, Layer.fresh(BrokerClient.layer({ path, capability: Redacted.make(name) })))
        const login = yield* as(
          "alice",
          Effect.flatMap(Broker, (broker) => broker.initiate(account, { flow: "pkce_redirect" })),
        )
        const { url } = yield* go(login.authUrl)
        const finish = Effect.flatMap(Broker, (broker) => broker.exchange(login.sessionId, Redacted.make(url)))
        const cancel = Effect.flatMap(Broker, (broker) => broker.cancel(login.sessionId))
        assert.strictEqual(yield* tagOf(as("mallory", finish)), "PeerMismatch")
        assert.strictEqual(yield* tagOf(as("mallory", cancel)), "PeerMismatch")
        yield* as("alice", finish)
        const refused = yield* tagOf(
          Effect.provide(
            Effect.flatMap(Broker, (broker) => broker.listProviders),
            Layer.fresh(BrokerClient.layer({ path })),
          ),
        )
        assert.strictEqual(refused, "Unauthorized")
      }).pipe(Effect.provide(layerServer({ admission: byCapability }).pipe(Layer.provide(host(server)))))
    }),
  )

  it.live("a host that is killed in the middle of a login is noticed, and asked again when it is back", () =>
    Effect.gen(function* () {
      const server = yield* AuthorizationServer.start()
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const record = [
        "--issuer",
        server.issuer,
        "--client-id",
        server.clientId,
        "--flow",
        "device",
        "--scope",
        "openid",
      ]
      yield* Program.run(["provider", "add", "real", ...record], environment)
      const running = yield* Program.start(["serve", "--json"], environment)
      const [, path = ""] = yield* Effect.promise(() => running.said("stdout", /"socket":"([^"]+)"/))
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        running.kill("SIGKILL")
        yield* Effect.promise(() => running.ended)
        const failure = yield* Effect.flip(broker.poll(login.sessionId))
        assert.strictEqual(failure._tag, "HostUnreachable")
        assert.include(failure.message, "tokenkeep serve")
        const again = yield* Program.start(["serve", "--json"], environment)
        yield* Effect.promise(() => again.said("stdout", /socket/))
        assert.deepStrictEqual(yield* broker.listProviders, ["real"])
        assert.strictEqual(yield* tagOf(broker.poll(login.sessionId)), "SessionNotFound")
      }).pipe(Effect.provide(BrokerClient.layer({ path })))
    }),
  )
})
