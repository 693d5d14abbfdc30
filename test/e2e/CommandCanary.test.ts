/**
 * Secrets are planted in what the commands read, and all that they say, or write outside, is searched for them. An access
 * token is said where it was asked for, and nowhere else.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const clientSecret = "canary-client-secret"

/** Whatever is in the folder, but for what is tokenkeep's own. */
const filesIn = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !join(entry.parentPath, entry.name).startsWith(join(folder, "keep")))
    .map(
      (entry) => `${join(entry.parentPath, entry.name)}\n${readFileSync(join(entry.parentPath, entry.name), "utf8")}`,
    )
    .join("\n")

describe("the secrets of a login", () => {
  it.live("are said by no command, and the access token by those only that are asked for it", () =>
    Effect.gen(function* () {
      const { provider, secrets } = yield* ScriptedProvider
      const home = yield* TemporaryHome.make
      const environment = {
        HOME: home,
        TOKENKEEP_HOME: `${home}/keep`,
        SECRET: clientSecret,
        PATH: process.env["PATH"] ?? "",
      }
      const run = (args: ReadonlyArray<string>, input?: string) => {
        const given = input === undefined ? [] : ["sh", "-c", `printf '${input}' | "$@"`, "sh"]
        return Program.run([...args, "--log-level", "all"], environment, "", given)
      }

      const record = ["--issuer", provider.issuer, "--client-id", provider.clientId, "--client-secret-env", "SECRET"]
      yield* run(["provider", "add", "example", ...record, "--flow", "device"])
      const login = yield* run(["login", "example", "--json", "--no-input"])
      assert.strictEqual(login.code, 0, login.stderr)
      const { stdout } = yield* run(["token", "example", "--force-refresh", "--yes"])
      const token = stdout.trim()
      assert.match(token, /^access-\w+$/)

      mkdirSync(`${home}/.docker`)
      writeFileSync(`${home}/.docker/config.json`, "{}")
      const install = ["--install", "--yes"]
      const silent = [
        ["status", "--json"],
        ["doctor", "--json"],
        ["token", "example", "--min-ttl", "nonsense"],
        ["token", "other", "--json"],
        ["helper", "git", "example", "--host", "git.example", ...install],
        ["helper", "api-key", "example", ...install],
        ["helper", "docker", "example", "--host", "registry.example", "--bin", `${home}/bin`, ...install],
      ]
      const speaking: ReadonlyArray<readonly [args: ReadonlyArray<string>, input?: string]> = [
        [["token", "example", "--json"]],
        [["helper", "git", "get"], "protocol=https\\nhost=git.example\\n\\n"],
        [["helper", "docker", "get"], "https://registry.example"],
      ]
      const outcomes = yield* Effect.forEach(silent, (args) => Effect.map(run(args), (said) => ({ args, said })))
      const said = yield* Effect.forEach(speaking, ([args, input]) => run(args, input))
      for (const { code, stderr, stdout } of said) {
        assert.deepStrictEqual([code, stderr.includes(token), stdout.includes(token)], [0, false, true], stderr)
      }
      const logout = yield* run(["logout", "example"])

      const planted = [["client secret", clientSecret] as const, ...(yield* secrets)].filter(
        ([, secret]) => secret !== token,
      )
      assert.isAbove(planted.length, 3)
      const all = [login, logout, ...outcomes.map(({ said }) => said), ...said].map((one) => one.stdout + one.stderr)
      for (const [kind, secret] of planted)
        for (const text of [...all, filesIn(home)]) assert.notInclude(text, secret, kind)
      for (const { args, said } of outcomes) assert.notInclude(said.stdout + said.stderr, token, args.join(" "))
      assert.notInclude(filesIn(home), token)
    }).pipe(
      Effect.provide(
        ScriptedServer.layer({ clientSecret: Option.some(Redacted.make(clientSecret)), person: "grants" }),
      ),
    ),
  )
})
