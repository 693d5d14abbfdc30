/**
 * What happens in short-lived processes reaches who follows it from another, and the command that is configured for it.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { fromJson } from "../../src/domain/AuthEvent.ts"
import { inShort } from "../support/Heard.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

describe("tokenkeep events", () => {
  it.live("prints what logins and logouts that are typed elsewhere come to", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: `${home}/keep` }
      mkdirSync(environment.TOKENKEEP_HOME)
      yield* loggedIn(environment.TOKENKEEP_HOME, { example: recordOf("one"), other: recordOf("two") })
      const record = {
        clientId: "client",
        scopes: [],
        endpoints: { token: "https://127.0.0.1:1/token", authorization: "https://127.0.0.1:1/authorize" },
        flows: ["pkce_redirect"],
        redirectUris: ["https://app.example/cb"],
      }
      const onEvent = ["sh", "-c", `cat >> ${home}/told`]
      const config = { providers: { example: record }, onEvent }
      writeFileSync(`${environment.TOKENKEEP_HOME}/config.json`, JSON.stringify(config))

      const following = yield* Program.start(["events", "--account", "example:*"], environment)
      yield* Effect.promise(() => following.said("stderr", /Following/))
      const out = yield* Program.run(["logout", "other"], environment)
      assert.strictEqual(out.code, 0, out.stderr)
      const token = yield* Program.run(["token", "example"], environment)
      assert.strictEqual(token.stdout, "access-one\n", token.stderr)
      const login = yield* Program.start(["login", "example", "--no-browser"], environment)
      yield* Effect.promise(() => login.said("stderr", /Paste the code/))
      login.kill("SIGINT")
      yield* Effect.promise(() => login.ended)
      yield* Effect.promise(() => following.said("stdout", /"cancelled"\}\n/))
      following.kill("SIGINT")
      const { code, stdout } = yield* Effect.promise(() => following.ended)

      const lines = stdout.trim().split("\n")
      const told = (text: ReadonlyArray<string>) => text.map((line) => inShort(Option.getOrThrow(fromJson(line))))
      assert.deepStrictEqual(told(lines), [
        "token_requested get_token",
        "token_response ok",
        "token_served broker",
        "login_started pkce_redirect",
        "login_failed pkce_redirect cancelled",
      ])
      assert.strictEqual(code, 130)
      for (const secret of ["access-one", "refresh-one"]) assert.notInclude(stdout, secret)
      const run = readFileSync(`${home}/told`, "utf8").trim().split("\n")
      assert.deepStrictEqual(told(run), [
        "logout not_offered",
        "login_started pkce_redirect",
        "login_failed pkce_redirect cancelled",
      ])
    }),
  )
})
