/**
 * What a person learns from the audit log with `tokenkeep audit`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as AuditEntry from "../../src/domain/AuditEntry.ts"
import * as Fingerprint from "../../src/domain/Fingerprint.ts"
import { Audit } from "../../src/server/Audit.ts"
import { sha256 } from "../../src/system/Sha256.ts"
import { entry } from "../support/Audited.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const token = "gho_canary_0123456789"
const fingerprint = Fingerprint.fingerprint(sha256, token)
const hour = 3_600_000

/** A home with the log of a server that has answered three requests. */
const prepare = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  yield* Effect.gen(function* () {
    const { record } = yield* Audit
    record(entry({ at: 1_800_000_000_000, pid: 11 }))
    for (let i = 0; i < 2; i++) record(entry({ at: 1_800_000_000_000 + hour, pid: 12 }))
    const op = "\u001b[31mnonsense"
    record(entry({ grant: "other", op, outcome: "INVALID_REQUEST", account: undefined, token: undefined, micros: 15 }))
  }).pipe(
    Effect.provide(
      Audit.layerFile({ mode: "on" }).pipe(
        Layer.provide(BrokerConfig.layer(home)),
        Layer.provide(NodeServices.layer),
        Layer.fresh,
      ),
    ),
  )
  const run = (args: ReadonlyArray<string>, environment: Program.Environment = {}, input = "") =>
    Program.run(["audit", ...args], { TOKENKEEP_HOME: home, ...environment }, input)
  return { home, run }
})

describe.concurrent("tokenkeep audit", () => {
  it.live("shows requests as a table, and as they are, as far as they are asked for", () =>
    Effect.gen(function* () {
      const { run } = yield* prepare
      const table = yield* run(["show"])
      assert.strictEqual(table.code, 0, table.stderr)
      assert.match(table.stdout, /^TIME +USER +PROCESS +GRANT +OPERATION +ACCOUNT +OUTCOME +TOOK +TOKEN\n/)
      assert.include(table.stdout, "begins to write, audit=on)\n")
      assert.match(
        table.stdout,
        new RegExp(
          `\n2027-01-15T08:00:00.000Z +1000 +11 +agents +get_token +github:work +ok +0.3 ms +${fingerprint}\n`,
        ),
      )
      assert.match(table.stdout, / other +\[31mnonsense +- +INVALID_REQUEST +0.0 ms +-\n/)
      assert.match(table.stdout, / get_token x2 /)
      assert.notInclude(table.stdout, "\u001b")
      const lines = yield* run(["show", "--json", "--account", "github:work", "--since", "2027-01-15T08:30:00Z"])
      const shown = lines.stdout.trim().split("\n")
      assert.strictEqual(shown.length, 1, lines.stdout + lines.stderr)
      assert.deepInclude(JSON.parse(shown[0] ?? ""), { pid: 12, fingerprint, count: 2 })
      const bad = yield* run(["show", "--since", "yesterday"])
      assert.deepStrictEqual([bad.code, bad.stdout], [2, ""])
      assert.include(bad.stderr, "yesterday is no time.")
    }),
  )

  it.live("finds out that a line was changed, and that all of it was written anew", () =>
    Effect.gen(function* () {
      const { home, run } = yield* prepare
      const sound = yield* run(["verify"])
      assert.strictEqual(sound.code, 0, sound.stderr)
      const [, last = ""] =
        /^6 lines in 1 files, from \S+ to \S+: as they were written\.\nThe last line is (6:\w+)\n$/.exec(
          sound.stdout,
        ) ?? []
      const noted = yield* run(["verify", "--anchor", last.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))])
      assert.strictEqual(noted.code, 1)
      assert.include(noted.stdout, "line 6: it is not the line that had this number before")
      const file = join(home, "audit", AuditEntry.fileNameOf(1))
      writeFileSync(file, readFileSync(file, "utf8").replace('"pid":12', '"pid":13'))
      const changed = yield* run(["verify"])
      assert.strictEqual(changed.code, 1)
      assert.strictEqual(
        changed.stdout,
        "log-0000000000000001.ndjson, line 4: it does not follow from the line before: one of the two was changed\n",
      )
      assert.match(changed.stderr, /^tokenkeep: The audit log is not as it was written, in one place\./)
    }),
  )

  it.live("says who was given a token, by its fingerprint or by itself", () =>
    Effect.gen(function* () {
      const { run } = yield* prepare
      const given = `agents (user 1000), github:work, token ${fingerprint}: 3 times, first 2027-01-15T08:00:00.000Z, last 2027-01-15T09:00:00.000Z, process 11, 12\n`
      for (const [asked, input] of [
        [fingerprint.slice(0, 8).toUpperCase(), ""],
        ["-", `${token}\n`],
      ] as const) {
        const { code, stderr, stdout } = yield* run(["trace", asked], {}, input)
        assert.deepStrictEqual([code, stdout, stderr], [0, given, ""])
      }
      const nobody = yield* run(["trace", "0123456789abcdef"])
      assert.deepStrictEqual([nobody.code, nobody.stdout], [1, ""])
      assert.match(nobody.stderr, /Nobody was given a token with the fingerprint 0123456789abcdef since \d{4}-/)
      const typed = yield* run(["trace", token])
      assert.strictEqual(typed.code, 2)
      assert.notInclude(typed.stderr, token)
    }),
  )

  it.live("is for the host, and says so where there is no log", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const empty = yield* Program.run(["audit", "verify"], { TOKENKEEP_HOME: home })
      assert.deepStrictEqual([empty.code, empty.stdout], [0, ""])
      assert.include(empty.stderr, "The audit log is empty.")
      const sandbox = yield* Program.run(["audit", "show"], { TOKENKEEP_HOME: home, TOKENKEEP_SOCKET: "/host.sock" })
      assert.strictEqual(sandbox.code, 2)
      assert.include(sandbox.stderr, "The audit log is kept on the host.")
    }),
  )
})
