import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import { visit } from "../support/Person.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

/** A home, and a provider called `demo` in it. */
const prepare = (options: AuthorizationServer.Options = {}) =>
  Effect.gen(function* () {
    const server = yield* AuthorizationServer.start(options)
    const home = yield* TemporaryHome.make
    const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home, CLIENT_SECRET: options.clientSecret ?? "" }
    const secret = options.clientSecret === undefined ? [] : ["--client-secret-env", "CLIENT_SECRET"]
    const flows = ["device", "browser", "paste"].flatMap((flow) => ["--flow", flow])
    const scopes = ["openid", "offline_access"].flatMap((scope) => ["--scope", scope])
    const redirectUris = [AuthorizationServer.loopbackRedirectUri, AuthorizationServer.hostedRedirectUri].flatMap(
      (uri) => ["--redirect-uri", uri],
    )
    const record = ["--issuer", server.issuer, "--client-id", server.clientId, ...flows, ...scopes, ...redirectUris]
    const added = yield* Program.run(["provider", "add", "demo", ...record, ...secret], environment)
    assert.strictEqual(added.code, 0, added.stderr)
    return { server, home, environment }
  })

const said = (running: Program.Running, pattern: RegExp) => Effect.promise(() => running.said("stderr", pattern))

const openedBy = (running: Program.Running, will: "grant" | "deny" = "grant") =>
  Effect.gen(function* () {
    const [, url = ""] = yield* said(running, /(http:\S+\/auth\?\S+)/)
    return yield* Effect.promise(() => visit(url, { will }))
  })

const loggedIn = (environment: Program.Environment, account = "demo") =>
  Effect.gen(function* () {
    const login = yield* Program.start(["login", account, "--flow", "paste", "--no-browser"], environment)
    const { url } = yield* openedBy(login)
    login.write(`${url}\n`)
    const outcome = yield* Effect.promise(() => login.ended)
    assert.strictEqual(outcome.code, 0, outcome.stderr)
    return outcome
  })

describe("the command line", () => {
  it.live("logs in with a device code, prints a token, shows it, and logs out", () =>
    Effect.gen(function* () {
      const { environment, home } = yield* prepare()
      const login = yield* Program.start(["login", "--no-browser"], environment)
      const [, url = ""] = yield* said(login, /open +(\S+)/)
      const [, userCode = ""] = yield* said(login, /enter +(\S+)/)
      yield* Effect.promise(() => visit(url, { will: "grant", userCode }))
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 0, done.stderr)
      assert.strictEqual(done.stdout, "")
      assert.include(done.stderr, "Logged in as demo.")

      const token = yield* Program.run(["token", "demo", "--min-ttl", "10m"], environment)
      assert.strictEqual(token.code, 0, token.stderr)
      assert.match(token.stdout, /^[\w-]{20,}\n$/)
      assert.strictEqual(token.stderr, "")

      const status = yield* Program.run(["status", "--json"], environment)
      const accounts = [{ provider: "demo", bucket: "default", state: "ok", scopes: ["openid", "offline_access"] }]
      const shown: unknown = JSON.parse(status.stdout)
      assert.containSubset(shown, { version: 1, accounts })
      assert.notInclude(status.stdout, token.stdout.trim())
      const table = yield* Program.run(["status"], environment)
      assert.match(
        table.stdout,
        /^ACCOUNT +STATE +EXPIRES +RENEWS +SCOPES\ndemo +ok +in \d+ min +in \d+ min +openid offline_access\n$/,
      )

      assert.strictEqual((yield* Program.run(["logout", "demo"], environment)).code, 0)
      const refused = yield* Program.run(["token", "demo"], environment)
      assert.strictEqual(refused.code, 4)
      assert.strictEqual(refused.stdout, "")
      assert.include(refused.stderr, "tokenkeep login demo")
      assert.deepStrictEqual(readdirSync(home), ["keep"])
    }),
  )

  it.live("logs in by pasting, as a client with a secret, into one of several buckets", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare({ clientSecret: "a secret that is long enough" })
      yield* loggedIn(environment, "demo:work")
      const token = yield* Program.run(["token", "demo:work"], environment)
      assert.strictEqual(token.code, 0, token.stderr)
      assert.strictEqual((yield* Program.run(["token", "demo"], environment)).code, 4)
      const config = `${environment.TOKENKEEP_HOME}/config.json`
      assert.strictEqual(statSync(config).mode & 0o777, 0o600)
    }),
  )

  it.live("says no secret on stderr, however much it is asked to log", () =>
    Effect.gen(function* () {
      const { environment, server } = yield* prepare({ clientSecret: "a secret that is long enough" })
      const login = yield* Program.start(
        ["login", "demo", "--flow", "paste", "--no-browser", "--log-level", "all"],
        environment,
      )
      const { url } = yield* openedBy(login)
      login.write(`${url}\n`)
      const outcomes = [
        yield* Effect.promise(() => login.ended),
        yield* Program.run(["token", "demo", "--min-ttl", "24h", "--log-level", "all"], environment),
        yield* Program.run(["status", "--log-level", "all"], environment),
        yield* Program.run(["logout", "demo", "--log-level", "all"], environment),
      ]
      assert.strictEqual(server.refreshTokens.size, 2)
      const said = outcomes.map(({ code, stderr, stdout }) => `${code}${stdout}${stderr}`).join("\n")
      const secrets = [
        ...server.refreshTokens,
        "a secret that is long enough",
        new URL(url).searchParams.get("code") ?? "",
      ]
      for (const secret of secrets) assert.notInclude(said, secret)
    }),
  )

  it.live("logs in with a browser on this machine", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare()
      const login = yield* Program.start(["login", "demo", "--flow", "browser", "--no-browser"], environment)
      const journey = yield* openedBy(login)
      assert.include(journey.text, "Signed in")
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 0, done.stderr)
    }),
  )

  it.live("says that access was denied, and stores nothing", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare()
      const login = yield* Program.start(["login", "demo", "--flow", "browser", "--no-browser"], environment)
      const journey = yield* openedBy(login, "deny")
      assert.include(journey.text, "Access was not granted")
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 1)
      assert.include(done.stderr, "Access was denied")
      assert.isFalse(existsSync(`${environment.TOKENKEEP_HOME}/accounts`))
    }),
  )

  it.live("keeps what a refresh brings although Ctrl-C comes in the middle of it", () =>
    Effect.gen(function* () {
      const { environment, server } = yield* prepare({ tokenEndpointDelay: 1500 })
      yield* loggedIn(environment)
      const path = `${environment.TOKENKEEP_HOME}/accounts/demo/default.json`
      const before = readFileSync(path, "utf8")
      const token = yield* Program.start(["token", "demo", "--min-ttl", "24h", "--log-level", "debug"], environment)
      while (server.calls["refresh_token"] === undefined) yield* Effect.sleep("20 millis")
      token.kill("SIGINT")
      const done = yield* Effect.promise(() => token.ended)
      assert.strictEqual(done.code, 130)
      assert.notStrictEqual(readFileSync(path, "utf8"), before)
      assert.strictEqual((yield* Program.run(["token", "demo", "--min-ttl", "24h"], environment)).code, 0)
    }),
  )

  it.live("cancels a login on Ctrl-C", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare()
      const login = yield* Program.start(["login", "demo", "--no-browser"], environment)
      yield* said(login, /Waiting/)
      login.kill("SIGINT")
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 130)
      assert.include(done.stderr, "cancelled")
    }),
  )

  it.live("does the same through a socket as on the host", () =>
    Effect.gen(function* () {
      const { environment, home } = yield* prepare()
      const host = yield* Program.start(["serve", "--json"], environment)
      const [, path = ""] = yield* Effect.promise(() => host.said("stdout", /"socket":"([^"]+)"/))
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const sandbox = { TOKENKEEP_SOCKET: path, HOME: `${home}/sandbox` }

      yield* loggedIn(sandbox)
      const inside = yield* Program.run(["token", "demo"], sandbox)
      const onHost = yield* Program.run(["token", "demo"], environment)
      assert.strictEqual(inside.stdout, onHost.stdout)
      const status = yield* Program.run(["status", "--json"], sandbox)
      assert.containSubset(JSON.parse(status.stdout), { accounts: [{ provider: "demo", state: "ok" }] })
      assert.isFalse(existsSync(`${home}/sandbox`))
      yield* Program.run(["logout", "demo"], sandbox)
      assert.strictEqual((yield* Program.run(["token", "demo"], environment)).code, 4)

      const second = yield* Program.run(["serve"], environment)
      assert.strictEqual(second.code, 1)
      assert.include(second.stderr, "another tokenkeep is listening")

      host.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => host.ended)).code, 0)
      assert.isFalse(existsSync(path))
      const orphan = yield* Program.run(["token", "demo"], sandbox)
      assert.strictEqual(orphan.code, 7)
      assert.include(orphan.stderr, "tokenkeep serve")
    }),
  )

  it.live("takes the place of a host that was killed", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const first = yield* Program.start(["serve"], environment)
      yield* Effect.promise(() => first.said("stdout", /Listening/))
      first.kill("SIGKILL")
      yield* Effect.promise(() => first.ended)
      const second = yield* Program.start(["serve"], environment)
      yield* Effect.promise(() => second.said("stdout", /Listening/))
    }),
  )

  it.live("exits with 2 on wrong usage, and says on stderr what was wrong", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const wrong = [
        ["token"],
        ["token", "demo", "--min-ttl", "soon"],
        ["login", "demo", "--flow", "telepathy"],
        ["provider", "add", "x", "--client-id", "y", "--flow", "device", "--issuer", "http://evil.example"],
        ["frobnicate"],
      ]
      const unusable = [
        [[], "--issuer"],
        [["--issuer", "https://id.example/.well-known/openid-configuration"], "before /.well-known/"],
        [["--issuer", "https://id.example", "--flow", "paste"], "--redirect-uri"],
        [["--issuer", "https://id.example", "--device-endpoint", "https://id.example/d"], "--token-endpoint"],
        [["--token-endpoint", "https://id.example/t"], "--device-endpoint"],
        [["--issuer", "https://id.example", "--client-secret-env", "A", "--client-secret-file", "/b"], "not by both"],
      ] as const
      for (const [flags, hint] of unusable) {
        const args = ["provider", "add", "x", "--client-id", "y", "--flow", "device", ...flags]
        const { code, stderr } = yield* Program.run(args, environment)
        assert.strictEqual(code, 2, stderr)
        assert.include(stderr, hint)
      }
      assert.isFalse(existsSync(`${home}/keep/config.json`))
      const early = yield* Program.run(["status"], { ...environment, TOKENKEEP_SESSION_TIMEOUT_SECONDS: "soon" })
      assert.strictEqual(early.code, 2)
      assert.include(early.stderr, "TOKENKEEP_SESSION_TIMEOUT_SECONDS")
      for (const args of wrong) {
        const { code, stderr, stdout } = yield* Program.run(args, environment)
        assert.strictEqual(code, 2, `${args.join(" ")}: ${stderr}`)
        assert.strictEqual(stdout, "")
        assert.match(stderr, /--help/)
      }
    }),
  )

  it.live("forgets a provider, replaces one, and says how a name that is hard to type is typed", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
      const flags = ["--issuer", "https://id.example", "--client-id", "c", "--flow", "device"]
      const add = (name: string) => Program.run(["provider", "add", name, ...flags], environment)
      assert.match((yield* add("plain")).stderr, /^Added plain .*tokenkeep login plain\n$/)
      assert.match((yield* add("plain")).stderr, /^Replaced plain /)
      assert.include((yield* add("my own")).stderr, "tokenkeep login 'my own'")
      assert.include((yield* add("a:b")).stderr, "tokenkeep login a%3Ab")
      assert.match(
        (yield* Program.run(["provider", "list"], environment)).stdout,
        /^PROVIDER .*\nplain .*\nmy own .*\na%3Ab .*\n$/,
      )
      assert.strictEqual((yield* Program.run(["provider", "remove", "plain"], environment)).code, 0)
      const again = yield* Program.run(["provider", "remove", "plain"], environment)
      assert.strictEqual(again.code, 1)
      const sandbox = { ...environment, TOKENKEEP_SOCKET: `${home}/none.sock` }
      const elsewhere = yield* Program.run(["provider", "list"], sandbox)
      assert.strictEqual(elsewhere.code, 2)
      assert.include(elsewhere.stderr, "kept on the host")
    }),
  )

  it.live("does not claim to have logged out somebody who was not logged in", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const outcome = yield* Program.run(["logout", "typo"], { TOKENKEEP_HOME: `${home}/keep`, HOME: home })
      assert.strictEqual(outcome.code, 0)
      assert.include(outcome.stderr, "Nobody was logged in as typo")
    }),
  )

  it.live("stops waiting for a paste when its session has expired", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare()
      const login = yield* Program.start(["login", "demo", "--flow", "paste", "--no-browser"], {
        ...environment,
        TOKENKEEP_SESSION_TIMEOUT_SECONDS: "1",
      })
      const done = yield* Effect.promise(() => login.ended)
      assert.strictEqual(done.code, 1)
      assert.include(done.stderr, "You have 1 s.")
      assert.include(done.stderr, "expired")
    }),
  )

  it.live("leaves a damaged file alone, names it, and shows the other logins", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare()
      yield* loggedIn(environment, "demo:one")
      yield* loggedIn(environment, "demo:two")
      const path = `${environment.TOKENKEEP_HOME}/accounts/demo/one.json`
      writeFileSync(path, '{"version":1,')
      const token = yield* Program.run(["token", "demo:one"], environment)
      assert.strictEqual(token.code, 6)
      assert.include(token.stderr, path)
      const status = yield* Program.run(["status", "--json"], environment)
      assert.containSubset(JSON.parse(status.stdout), {
        accounts: [
          { bucket: "one", state: "unreadable" },
          { bucket: "two", state: "ok" },
        ],
      })
      assert.strictEqual(readFileSync(path, "utf8"), '{"version":1,')
    }),
  )
})
