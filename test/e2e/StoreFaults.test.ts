/**
 * The program on stores that fail it: nothing may be sent to the provider whose answer could not be kept.
 *
 * A process of its own in a mount namespace of its own has a disk that is really full, or really read-only.
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as Program from "../support/Program.ts"
import * as Race from "../support/RefreshRace.ts"

const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0

/** To run the program where `prepare`, a shell script, has changed the disk. */
const on = (prepare: string) => ["unshare", "-rm", "sh", "-c", `set -e; ${prepare}; exec "$@"`, "sh"]

const environment = (home: string) => ({
  TOKENKEEP_HOME: home,
  ACCOUNTS: join(home, "accounts"),
  PATH: process.env["PATH"] ?? "",
})

const runOn = (prepare: string, home: string, args: ReadonlyArray<string>) =>
  Program.run(args, environment(home), "", on(prepare))

const tmpfs = `cp -r "$ACCOUNTS" /tmp/$$ && mount -t tmpfs -o size=32k,mode=700 tmpfs "$ACCOUNTS" && cp -r /tmp/$$/. "$ACCOUNTS" && rm -r /tmp/$$`
const readOnly = `mount --bind "$ACCOUNTS" "$ACCOUNTS" && mount -o remount,bind,ro "$ACCOUNTS"`
const full = `${tmpfs} && (dd if=/dev/zero of="$ACCOUNTS/filler" bs=1k 2>/dev/null || true)`

const setUp = Effect.gen(function* () {
  yield* Race.configure
  return { home: yield* Race.homeFolder, ...(yield* Race.expiredLogin("default")) }
})

const answerTooLargeToKeep = Effect.gen(function* () {
  const server = yield* ScriptedProvider
  const body = { access_token: "a".repeat(60_000), token_type: "Bearer", refresh_token: "next", expires_in: 3600 }
  yield* server.script([Behaviour.literal({ status: 200, body })])
})

const provide = Effect.provide(Race.places())

describe("on a disk that is", () => {
  for (const [name, prepare] of [
    ["read-only", readOnly],
    ["full", full],
  ] as const) {
    it.live.skipIf(!canMount)(`${name}, nothing is sent, and the login is as good as before`, () =>
      Effect.gen(function* () {
        const { account, family, home } = yield* setUp
        const failed = yield* runOn(prepare, home, ["token", account.toString()])
        assert.strictEqual(failed.code, 6, failed.stderr)
        assert.strictEqual(failed.stdout, "")
        assert.match(failed.stderr, /Could not write \S+\. Nothing was lost; check that the folder/)
        assert.deepInclude(yield* Race.familyOf(family), { redemptions: 0, refusals: 0 })
        const mended = yield* Program.run(["token", account.toString()], { TOKENKEEP_HOME: home })
        assert.strictEqual(mended.code, 0, mended.stderr)
      }).pipe(provide, Effect.scoped),
    )

    it.live.skipIf(!canMount)(`${name}, a token is handed out to its last second, with a word about the disk`, () =>
      Effect.gen(function* () {
        const { account, family, home } = yield* setUp
        const store = yield* TokenStore
        const record = Option.getOrThrow(yield* store.get(account))
        const expiresAt = DateTime.add(yield* DateTime.now, { seconds: 20 })
        yield* store.set(account, { ...record, token: { ...record.token, expiresAt } })
        const outcome = yield* runOn(prepare, home, ["token", account.toString()])
        assert.strictEqual(outcome.code, 0, outcome.stderr)
        assert.match(outcome.stdout, /^access-\w+\n$/)
        assert.match(outcome.stderr, /Could not write/)
        assert.strictEqual((yield* Race.familyOf(family)).redemptions, 0)
      }).pipe(provide, Effect.scoped),
    )
  }

  it.live.skipIf(!canMount)("full when the answer comes, the token is handed out, and its loss is told", () =>
    Effect.gen(function* () {
      const { account, home } = yield* setUp
      yield* answerTooLargeToKeep
      const outcome = yield* runOn(tmpfs, home, ["token", account.toString()])
      assert.match(outcome.stdout, /^a{60000}\n$/)
      assert.strictEqual(outcome.code, 1)
      assert.include(outcome.stderr, "in memory only: do not end this program")
      assert.match(outcome.stderr, /could not be saved, and is lost .*log in again with: tokenkeep login scripted/)
      assert.notInclude(outcome.stderr, "aaaa")
      assert.notInclude(outcome.stderr, "next")
    }).pipe(provide, Effect.scoped),
  )

  it.live.skipIf(!canMount)(
    "full when the answer comes, a server hands the token out, and tells its loss when it is stopped",
    () =>
      Effect.gen(function* () {
        const { account, home } = yield* setUp
        yield* answerTooLargeToKeep
        const server = yield* Program.start(["serve"], environment(home), on(tmpfs))
        const said = yield* Effect.promise(() => server.said("stdout", /Listening on (\S+)/))
        for (const _ of [1, 2]) {
          const outcome = yield* Program.run(["token", account.toString()], { TOKENKEEP_SOCKET: said[1] ?? "" })
          assert.match(outcome.stdout, /^a{60000}\n$/, outcome.stderr)
        }
        server.kill("SIGTERM")
        const ended = yield* Effect.promise(() => server.ended)
        assert.include(ended.stderr, "in memory only: do not end this program")
        assert.match(ended.stderr, /could not be saved, and is lost .*log in again with: tokenkeep login scripted/)
        assert.strictEqual(ended.code, 1)
      }).pipe(provide, Effect.scoped),
  )
})

describe("an account's file that is", () => {
  it.live("damaged is left as it is, and nothing is sent", () =>
    Effect.gen(function* () {
      const { account, family, home } = yield* setUp
      const file = join(home, "accounts", "scripted", "default.json")
      const half = readFileSync(file, "utf8").slice(0, 100)
      writeFileSync(file, half)
      const outcome = yield* Program.run(["token", account.toString()], { TOKENKEEP_HOME: home })
      assert.strictEqual(outcome.code, 6)
      assert.match(outcome.stderr, /default\.json is damaged\. It was left as it is/)
      assert.strictEqual(readFileSync(file, "utf8"), half)
      assert.strictEqual((yield* Race.familyOf(family)).redemptions, 0)
    }).pipe(provide, Effect.scoped),
  )

  it.live("gone with its folder is a login to make anew, and leaves no trace", () =>
    Effect.gen(function* () {
      const { account, family, home } = yield* setUp
      rmSync(join(home, "accounts"), { recursive: true })
      const outcome = yield* Program.run(["token", account.toString()], { TOKENKEEP_HOME: home })
      assert.strictEqual(outcome.code, 4)
      assert.include(outcome.stderr, "tokenkeep login scripted")
      assert.strictEqual((yield* Race.familyOf(family)).redemptions, 0)
      assert.notInclude(readdirSync(home), "accounts")
    }).pipe(provide, Effect.scoped),
  )
})
