/**
 * `tokenkeep login` as people and programs have it: on a terminal, and as lines of JSON.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as Tmux from "../support/Tmux.ts"

const prepare = Effect.gen(function* () {
  const { provider } = yield* ScriptedProvider
  const home = yield* TemporaryHome.make
  const environment = { TOKENKEEP_HOME: `${home}/keep`, HOME: home, CLIENT_SECRET: "client-secret" }
  mkdirSync(environment.TOKENKEEP_HOME, { mode: 0o700 })
  const flows = ["device_code", "browser_redirect"]
  const { clientId, issuer, scopes } = provider
  const record = { name: "demo", issuer, clientId, clientSecret: { env: "CLIENT_SECRET" }, scopes, flows }
  writeFileSync(`${home}/keep/config.json`, JSON.stringify({ providers: [record] }), { mode: 0o600 })
  return { environment, home }
})

const layer = ScriptedServer.layer({ person: "absent" })

describe("tokenkeep login", () => {
  it.live.skipIf(!Tmux.isPossible)(
    "shows a code, its QR code and the time, and leaves only what came of it (skipped without tmux)",
    () =>
      Effect.gen(function* () {
        const { environment, home } = yield* prepare
        const { grantDevice } = yield* ScriptedProvider
        const { until } = yield* Tmux.start(home, [90, 30], ["login", "demo"], { ...environment, LANG: "C.UTF-8" })
        const screen = yield* until(" left")
        const [, code = ""] = /│ {3}(\S+) {3}│/.exec(screen) ?? []
        assert.match(screen, /Open {4}http:\/\/127\.0\.0\.1:\d+\/device/)
        assert.match(screen, /Waiting for you to enter it · (10:00|9:5\d) left · Ctrl-C cancels/)
        assert.isAbove(screen.split("\n").filter((line) => /[▀▄█]{3}/.test(line)).length, 12)
        yield* grantDevice(code)
        const after = yield* until("exit ")
        assert.match(after, /\n {2}✓ Logged in as demo\. The access token is valid for \d+ min\.\nexit 0\n/)
        assert.notInclude(after, "Waiting")
      }).pipe(Effect.provide(layer)),
  )

  it.live.skipIf(!Tmux.isPossible)(
    "takes keys where something may be pasted, and Ctrl-C, on a terminal without Unicode (skipped without tmux)",
    () =>
      Effect.gen(function* () {
        const { environment, home } = yield* prepare
        const args = ["login", "demo", "--flow", "browser", "--no-browser"]
        const { tmux, until } = yield* Tmux.start(home, [60, 30], args, { ...environment, LANG: "C" })
        const screen = yield* until("Paste here:")
        assert.match(screen, /^[\n -~]*$/)
        assert.match(screen, /Waiting for your browser - (10:00|9:5\d) left - Ctrl-C cancels\n/)
        tmux("send-keys", "not-the-address")
        yield* until("Paste here: 15 characters, not shown")
        tmux("send-keys", "Enter")
        yield* until("That is not the address")
        tmux("send-keys", "C-c")
        const after = yield* until("exit ")
        assert.match(after, /\n {2}The login was cancelled\.\nexit 130\n/)
        assert.notInclude(after, "not-the-address")
        assert.notInclude(after, "Waiting")
      }).pipe(Effect.provide(layer)),
  )

  it.live.skipIf(!Tmux.isPossible)("warns in a sentence, not in a line of a log (skipped without tmux)", () =>
    Effect.gen(function* () {
      const { environment, home } = yield* prepare
      const keep = environment.TOKENKEEP_HOME
      yield* loggedIn(keep, { demo: recordOf("x") })
      writeFileSync(`${keep}/config.json`, "{", { mode: 0o600 })
      const { until } = yield* Tmux.start(home, [200, 30], ["token", "demo"], environment)
      const screen = yield* until("exit ")
      assert.match(screen, /^tokenkeep: The configuration .* cannot be used/m)
      assert.notInclude(screen, "level=")
      assert.include(screen, "exit 0")
    }).pipe(Effect.provide(layer)),
  )

  it.live("tells a program what to show, and nobody else anything", () =>
    Effect.gen(function* () {
      const { environment } = yield* prepare
      const { grantDevice } = yield* ScriptedProvider
      const login = yield* Program.start(["login", "--json"], { ...environment, CI: "true" })
      const [, code = ""] = yield* Effect.promise(() => login.said("stdout", /"user_code":"([^"]+)"/))
      yield* grantDevice(code)
      const { code: exit, stderr, stdout } = yield* Effect.promise(() => login.ended)
      const types = stdout
        .trimEnd()
        .split("\n")
        .map((line): unknown => JSON.parse(line))
      assert.containSubset(types, [{ type: "begun", flow: "device" }, { type: "waiting" }, { type: "logged_in" }])
      assert.deepStrictEqual([types.length, exit, stderr], [3, 0, ""])
    }).pipe(Effect.provide(layer)),
  )
})
