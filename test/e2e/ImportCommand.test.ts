/**
 * `tokenkeep import` as it is typed: what it shows, what it refuses, and that no token is ever shown.
 */
import { chmodSync, existsSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { golden, place } from "../support/Importing.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

describe("the import command", () => {
  it.live("lists without a token, does not make two owners of one, and asks gh for what is in the keyring", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const text = golden("claude/credentials.json")
      const path = yield* place(home, ".claude/.credentials.json", text)
      yield* place(home, ".claude.json", golden("claude/claude.json"))
      yield* place(home, ".codex/auth.json", golden("codex/auth.json"))
      yield* place(home, ".config/gh/hosts.yml", golden("gh/keyring.yml"))
      yield* place(home, ".qwen/oauth_creds.json", "{")
      const expired = '{"claudeAiOauth":{"accessToken":"canary-EXAMPLE","expiresAt":1700000000000}}'
      const dead = yield* place(yield* TemporaryHome.make, ".claude/.credentials.json", expired)
      const gh = yield* place(
        home,
        "bin/gh",
        '#!/bin/sh\n[ "$*" = "auth token --hostname github.com --user octo" ] && echo gho_EXAMPLE\n',
      )
      chmodSync(gh, 0o755)
      const environment = { TOKENKEEP_HOME: `${home}/tk`, HOME: home, PATH: `${home}/bin:/usr/bin:/bin` }
      const loudly = ["--log-level", "all"]
      const [listed, refused, asked, useless] = yield* Effect.all(
        [
          Program.run(["import", "--json", ...loudly], environment),
          Program.run(["import", "claude", ...loudly], environment),
          Program.run(["import", "gh", ...loudly], environment),
          Program.run(["import", "claude", ...loudly], { ...environment, CLAUDE_CONFIG_DIR: dirname(dead) }),
        ],
        { concurrency: 2 },
      )
      const { ended, logins, notes, version } = JSON.parse(listed.stdout)
      assert.strictEqual(version, 1)
      assert.deepStrictEqual(logins[0], {
        tool: "claude",
        account: "octo@example.com",
        provider: "anthropic",
        bucket: "default",
        state: "usable",
        rotates: true,
        refreshable: true,
        accessTokenFingerprint: "b5d86de859c74a8b",
        refreshTokenFingerprint: "89e767feb7c39821",
        expiresAt: "2030-03-17T17:46:40.000Z",
        expiresAtEpochSeconds: 1_900_000_000,
        path,
      })
      assert.deepStrictEqual(
        logins.map((login: { readonly tool: string; readonly state: string }) => [login.tool, login.state]),
        [
          ["claude", "usable"],
          ["codex", "usable"],
          ["gh", "elsewhere"],
        ],
      )
      assert.deepStrictEqual(notes, [
        {
          tool: "qwen",
          path: `${home}/.qwen/oauth_creds.json`,
          note: `${home}/.qwen/oauth_creds.json is damaged. It was left as it is.`,
        },
      ])
      assert.deepStrictEqual(ended, [])

      assert.strictEqual(refused.code, 2, refused.stderr)
      assert.include(refused.stderr, "the first that uses it logs the other out")
      assert.include(refused.stderr, "Log in anew with: tokenkeep login anthropic; or move the login with --adopt")
      assert.strictEqual(readFileSync(path, "utf8"), text)

      assert.strictEqual(useless.code, 1, useless.stderr)
      assert.include(
        useless.stderr,
        "its access token has expired, and there is no refresh token. Nothing was changed; log in",
      )
      assert.isFalse(existsSync(`${home}/tk/accounts/anthropic/default.json`))

      assert.strictEqual(asked.code, 0, asked.stderr)
      assert.include(readFileSync(`${home}/tk/accounts/github/default.json`, "utf8"), "gho_EXAMPLE")
      const { tokens } = JSON.parse(golden("codex/auth.json"))
      for (const { stderr, stdout } of [listed, refused, asked, useless]) {
        for (const secret of ["EXAMPLE", tokens.access_token, tokens.id_token, "eyJ"]) {
          assert.notInclude(stdout + stderr, secret)
        }
      }
    }),
  )
})
