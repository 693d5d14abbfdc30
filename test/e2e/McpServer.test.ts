/**
 * Logins at a server that says itself where to log in, with a real authorization server behind it.
 */
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Redacted, Schedule, type Scope } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { CurrentPeer } from "../../src/broker/CurrentPeer.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { Connected } from "../../src/domain/Peer.ts"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import * as McpServer from "../support/McpServer.ts"
import { visit } from "../support/Person.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import { tagOf } from "../support/tagOf.ts"

/** Both servers, the one knowing of the other. */
const servers = (options: AuthorizationServer.Options = {}) =>
  Effect.gen(function* (): Effect.fn.Return<
    { readonly mcp: McpServer.McpServer; readonly login: AuthorizationServer.AuthorizationServer },
    never,
    Scope.Scope
  > {
    const login = yield* AuthorizationServer.start({ resources: (resource) => resource.endsWith("/mcp"), ...options })
    const mcp = yield* McpServer.start(async (token, address) => (await login.audienceOf(token)) === address)
    mcp.says.metadata = { authorization_servers: [login.issuer], scopes_supported: ["mcp:read"] }
    return { mcp, login }
  })

const host = (home: string) =>
  BrokerHost.layer.pipe(
    Layer.provideMerge(BrokerConfig.layer(home, { refreshCooldown: Duration.zero })),
    Layer.provide(NodeServices.layer),
  )

const logIn = Effect.fnUntraced(function* (account: Account.AccountKey) {
  const broker = yield* Broker
  const login = yield* broker.initiate(account)
  yield* Effect.promise(() => visit(login.authUrl, { will: "grant" }))
  yield* broker
    .poll(login.sessionId)
    .pipe(Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: ({ status }) => status !== "pending" }))
  return login
})

const useAt = (address: string, token: Redacted.Redacted) =>
  Effect.promise(() =>
    fetch(address, { headers: { authorization: `Bearer ${Redacted.value(token)}` } }).then((answer) => answer.status),
  )

/** An MCP server and where its logins are, a home of ours, and the account there. */
const setUp = Effect.gen(function* () {
  const { login: server, mcp } = yield* servers()
  return { account: Account.make(mcp.address), home: yield* TemporaryHome.make, mcp, server }
})

describe("an MCP server", () => {
  it.live("is logged in at by its address alone, and its tokens are for it, also when they are refreshed", () =>
    Effect.gen(function* () {
      const { account, home, mcp, server } = yield* setUp
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const providers = yield* Providers
        const { authUrl, notice } = yield* logIn(account)
        assert.strictEqual(new URL(authUrl).searchParams.get("resource"), mcp.address)
        assert.include(Option.getOrThrow(notice), `${new URL(server.issuer).host}, and asks there for: mcp:read`)
        const first = yield* broker.getToken(account)
        assert.strictEqual(yield* useAt(mcp.address, first.accessToken), 200)
        const second = yield* broker.refreshToken(account)
        assert.notStrictEqual(Redacted.value(second.accessToken), Redacted.value(first.accessToken))
        assert.strictEqual(yield* useAt(mcp.address, second.accessToken), 200)
        assert.deepStrictEqual(server.resources, [mcp.address, mcp.address])
        assert.deepStrictEqual(yield* providers.list, [mcp.address])
        assert.deepStrictEqual(yield* broker.listBuckets(mcp.address), ["default"])

        // One registration for every login at the issuer, in any bucket.
        yield* logIn(Account.make(mcp.address, "work"))
        assert.strictEqual(server.registered.length, 1)
      }).pipe(Effect.provide(host(home)))

      const file = readdirSync(`${home}/clients`).find((name) => name.endsWith(".json")) ?? ""
      assert.strictEqual(statSync(`${home}/clients/${file}`).mode & 0o777, 0o600)
      assert.strictEqual(statSync(`${home}/clients/resources`).mode & 0o777, 0o700)

      // After a restart, and with metadata that names another server, it goes on where the login was.
      const other = yield* servers()
      mcp.says.metadata = { authorization_servers: [other.login.issuer] }
      const before = mcp.asked.length
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* broker.refreshToken(account)
        assert.strictEqual(mcp.asked.length, before)
        assert.deepStrictEqual(other.login.resources, [])

        // A new login there is at the new server, with a client of its own; the bucket at the old one is left alone.
        yield* logIn(account)
        assert.strictEqual(other.login.registered.length, 1)
        assert.strictEqual(yield* tagOf(broker.refreshToken(Account.make(mcp.address, "work"))), "RefreshFailed")
        assert.deepStrictEqual(other.login.calls, { authorization_code: 1 })
      }).pipe(Effect.provide(host(home)))
    }),
  )

  it.live("that forgets the client wants a new login, which registers anew", () =>
    Effect.gen(function* () {
      const { account, home, mcp, server } = yield* setUp
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* logIn(account)
        const [first = ""] = server.registered
        yield* Effect.promise(() => server.forget(first))
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ReauthRequired")
        yield* logIn(account)
        assert.strictEqual(server.registered.length, 2)
        yield* broker.refreshToken(account)

        // A server that shows its error to the person only, and nothing to us, has to be forgotten by hand.
        yield* (yield* Providers).remove(mcp.address)
        assert.strictEqual(yield* tagOf(broker.refreshToken(account)), "ProviderNotFound")
        yield* logIn(account)
        assert.strictEqual(server.registered.length, 3)
      }).pipe(Effect.provide(host(home)))
    }),
  )

  it.live("has a client that is written down before it is used, and another if it was not", () =>
    Effect.gen(function* () {
      const { account, home, server } = yield* setUp
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* broker.initiate(account)
        const [file = ""] = readdirSync(`${home}/clients`)
        assert.include(readFileSync(`${home}/clients/${file}`, "utf8"), server.registered[0] ?? "none")
        // As whoever dies in the middle of writing leaves it.
        renameSync(`${home}/clients/${file}`, `${home}/clients/${file}.0123456789abcdef.tmp`)
        yield* logIn(account)
        assert.strictEqual(server.registered.length, 2)
        yield* broker.refreshToken(account)
      }).pipe(Effect.provide(host(home)))
    }),
  )

  it.live("that is damaged in our files is reported and left alone", () =>
    Effect.gen(function* () {
      const { account, home, server } = yield* setUp
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        yield* broker.initiate(account)
        const [file = ""] = readdirSync(`${home}/clients`)
        writeFileSync(`${home}/clients/${file}`, "{}")
        assert.strictEqual(yield* tagOf(broker.initiate(account)), "StoreCorrupt")
        assert.strictEqual(readFileSync(`${home}/clients/${file}`, "utf8"), "{}")
        assert.strictEqual(server.registered.length, 1)
      }).pipe(Effect.provide(host(home)))
    }),
  )

  it.live("on this machine is out of bounds for a sandbox, until the person of the host has logged in there", () =>
    Effect.gen(function* () {
      const { mcp } = yield* servers()
      const home = yield* TemporaryHome.make
      const account = Account.make(mcp.address)
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const bySandbox = broker
          .initiate(account)
          .pipe(Effect.provideService(CurrentPeer, Connected({ uid: 1, grant: "0badcafe" })))
        const refused = yield* Effect.flip(bySandbox)
        assert.strictEqual(refused._tag, "FlowInitiationFailed")
        assert.include(refused.message, "not an https address that is public")
        assert.deepStrictEqual(mcp.asked, [])
        // To begin is not to have logged in.
        yield* broker.initiate(account)
        assert.isFalse(existsSync(`${home}/clients/resources`))
        assert.strictEqual(yield* tagOf(bySandbox), "FlowInitiationFailed")
        yield* logIn(account)
        yield* bySandbox
      }).pipe(Effect.provide(host(home)))
    }),
  )

  it.live("is logged in at on the command line, which says first who asks for what", () =>
    Effect.gen(function* () {
      const { login: server, mcp } = yield* servers()
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const login = yield* Program.start(
        ["login", `${mcp.address}#work`, "--flow", "browser", "--no-browser"],
        environment,
      )
      const said = (pattern: RegExp) => Effect.promise(() => login.said("stderr", pattern))
      const [, url = ""] = yield* said(/Note: [^]* asks there for: mcp:read offline_access[^]*?(http:\S+\/auth\?\S+)/)
      yield* Effect.promise(() => visit(url, { will: "grant" }))
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 0, done.stderr)
      assert.include(done.stderr, `Logged in as ${mcp.address}#work.`)
      const status = yield* Program.run(["status"], environment)
      assert.include(status.stdout, `${mcp.address}#work`)
      assert.strictEqual(server.registered.length, 1)
    }),
  )
})
