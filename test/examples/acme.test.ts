import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import { visit } from "../support/Person.ts"
import * as Program from "../support/Program.ts"
import * as Programs from "../support/Programs.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const acme = Programs.pathOf("acme")

describe("a command line in which auth is mounted", () => {
  it.live("logs in under its own name, at its own provider, into its own folder", () =>
    Effect.gen(function* () {
      const server = yield* AuthorizationServer.start()
      const home = yield* TemporaryHome.make
      const scopes = ["openid", "offline_access"]
      // The provider of the example is in nobody's network.
      const id = { issuer: server.issuer, clientId: server.clientId, scopes, flows: ["device_code"] }
      mkdirSync(`${home}/.acme`, { mode: 0o700 })
      writeFileSync(`${home}/.acme/config.json`, JSON.stringify({ version: 1, providers: { id } }), { mode: 0o600 })
      const environment = { HOME: home }
      const run = (...args: ReadonlyArray<string>) => Program.run(args, environment, "", [], acme)

      const nobody = yield* run("auth", "token", "id")
      assert.strictEqual(nobody.code, 4)
      assert.strictEqual(nobody.stdout, "")
      assert.include(nobody.stderr, "Nobody is logged in as id. Log in with: acme auth login id\n")

      const login = yield* Program.start(["auth", "login", "--no-browser"], environment, [], acme)
      const [, url = ""] = yield* Effect.promise(() => login.said("stderr", /open +(\S+)/))
      const [, userCode = ""] = yield* Effect.promise(() => login.said("stderr", /enter +(\S+)/))
      yield* Effect.promise(() => visit(url, { will: "grant", userCode }))
      assert.strictEqual((yield* Effect.promise(() => login.ended)).code, 0)
      assert.isTrue(existsSync(`${home}/.acme/accounts/id/default.json`))

      const token = yield* run("auth", "token", "id")
      assert.strictEqual(token.code, 0, token.stderr)
      assert.match(token.stdout, /^[\w-]{20,}\n$/)

      const unknown = yield* run("auth", "token", "github", "--json")
      assert.strictEqual(unknown.code, 4)
      assert.strictEqual(unknown.stderr, "")
      assert.containSubset(JSON.parse(unknown.stdout), {
        version: 1,
        error: { code: "TOKEN_NOT_FOUND", accounts: ["github"] },
      })
      const help = yield* run("auth", "login", "--help")
      assert.include(help.stdout, "acme auth login example")
      assert.notInclude(help.stdout, "tokenkeep login")
    }),
  )
})
