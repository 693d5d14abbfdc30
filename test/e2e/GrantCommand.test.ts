/**
 * What a person does with `tokenkeep grant` and `tokenkeep approve`, and what it means to whoever uses a grant.
 */
import { spawnSync } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, uid } from "../support/Granting.ts"
import * as Program from "../support/Program.ts"
import * as RawPeer from "../support/RawPeer.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WireClient from "../support/WireClient.ts"

const { within } = RawPeer

/** A home with a server, and how commands are typed there. */
const prepare = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
  const home = yield* TemporaryHome.make
  const environment = { TOKENKEEP_HOME: home }
  const serve = Program.start(["serve", "--json", ...flags], environment).pipe(
    Effect.tap((server) => Effect.promise(() => server.said("stdout", /"socket":/))),
  )
  const run = (...args: ReadonlyArray<string>) => Program.run(args, environment)
  const well = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
    const outcome = yield* run(...args)
    assert.strictEqual(outcome.code, 0, `${args.join(" ")}: ${outcome.stderr}`)
    return outcome
  })
  const host = yield* serve
  const own = yield* Effect.promise(() => connect(`${home}/host.sock`))
  const token = { access_token: "access-1", expiry: 4_000_000_000 }
  for (const bucket of ["work", "other"]) {
    const payload = { provider: "github", bucket, token }
    assert.strictEqual(yield* Effect.promise(() => own.codeOf("save_token", payload)), "ok")
  }
  return { home, host, run, serve, well }
})

const work = { provider: "github", bucket: "work" }
const other = { provider: "github", bucket: "other" }

/** The environment that a command has printed, as a shell takes it. */
const environmentIn = (stdout: string) => {
  const script = `eval "$1"; printf '%s\\n%s' "$TOKENKEEP_SOCKET" "$TOKENKEEP_CAPABILITY"`
  const [socket = "", capability = ""] = spawnSync("sh", ["-c", script, "sh", stdout], {
    env: {},
    encoding: "utf8",
  }).stdout.split("\n")
  return { socket, capability }
}

describe.concurrent("tokenkeep grant", () => {
  it.live("makes a grant that works at once, changes and ends it under open connections", () =>
    Effect.gen(function* () {
      const { home, run, well } = yield* prepare()
      const added = yield* well(
        "grant",
        "add",
        "--allow",
        "github:work",
        "--for",
        "8h",
        "--label",
        "my agents",
        "--uses",
        "9",
      )
      const { capability, socket } = environmentIn(added.stdout)
      assert.strictEqual(added.stdout, `TOKENKEEP_SOCKET=${socket}\nTOKENKEEP_CAPABILITY=${capability}\n`)
      assert.match(capability, /^[\w-]{43}$/)
      const [, id = ""] =
        /^Granted\. Take it back with: tokenkeep grant revoke ([0-9a-f]{8})\n$/.exec(added.stderr) ?? []
      assert.strictEqual(socket, `${home}/sandboxes/${id}/broker.sock`)

      if (WireClient.isThere) {
        const { code, replies, stderr } = yield* WireClient.run(socket, {
          environment: { TOKENKEEP_CAPABILITY: capability },
          lines: [
            { op: "get_token", payload: work },
            { op: "get_token", payload: other },
            { op: "list_buckets", payload: { provider: "github" } },
            { op: "grant_list", payload: {} },
          ],
        })
        assert.strictEqual(code, WireClient.exit.answered, stderr)
        assert.containSubset(replies.slice(1), [
          { ok: true, data: { access_token: "access-1" } },
          { ok: false, code: "FORBIDDEN" },
          { ok: true, data: { buckets: ["work"] } },
          { ok: false, code: "INVALID_REQUEST" },
        ])
      }
      const inSandbox = yield* Program.run(["token", "github:work"], {
        TOKENKEEP_SOCKET: socket,
        TOKENKEEP_CAPABILITY: capability,
      })
      assert.deepStrictEqual([inSandbox.code, inSandbox.stdout], [0, "access-1\n"], inSandbox.stderr)

      const status = yield* well("status")
      assert.match(status.stdout, /^ACCOUNT .* GRANTED TO\n.*^github:work +ok .* my agents$/ms)
      assert.match(status.stdout, /^github:other +ok .* -$/m)

      const holder = yield* Effect.promise(() => connect(socket, capability))
      const codes = () =>
        Effect.promise(() => Promise.all([holder.codeOf("get_token", work), holder.codeOf("get_token", other)]))
      assert.deepStrictEqual(yield* codes(), ["ok", "FORBIDDEN"])
      const edited = yield* well(
        "grant",
        "edit",
        "my agents",
        "--allow",
        "github:o*",
        "--for",
        "never",
        "--uses",
        "any",
      )
      assert.strictEqual(edited.stderr, `Changed my agents (${id}), for open connections too.\n`)
      assert.deepStrictEqual(yield* codes(), ["FORBIDDEN", "ok"])

      const second = yield* well(
        "grant",
        "add",
        "--allow-key",
        "openai",
        "--label",
        "my agents",
        "--no-capability",
        "--json",
      )
      const json: { id: string; socket: string } = JSON.parse(second.stdout)
      assert.hasAllKeys(json, ["version", "id", "socket"])
      const table = yield* well("grant", "list")
      assert.match(table.stdout, /^ID +LABEL +ACCOUNTS +OPERATIONS +EXPIRES +USES +USERS +ADDRESS\n/)
      assert.include(
        table.stdout,
        `${id}  my agents  github:o*   get_token,refresh_token  never    any   ${uid}      ${socket}\n`,
      )
      const listed = yield* well("grant", "list", "--json")
      assert.containSubset(JSON.parse(listed.stdout), {
        version: 1,
        grants: [
          { id, accounts: ["github:o*"], keys: [], capability: true, kept: false },
          { id: json.id, accounts: [], keys: ["openai"], capability: false },
        ],
      })
      for (const { stderr, stdout } of [table, listed]) assert.notInclude(stdout + stderr, capability)

      const which = yield* run("grant", "revoke", "my agents")
      assert.deepStrictEqual([which.code, which.stdout], [2, ""])
      assert.include(which.stderr, `Which one? my agents is the label of ${id}, ${json.id}.`)
      const revoked = yield* well("grant", "revoke", id)
      assert.strictEqual(revoked.stderr, `Revoked my agents (${id}): its connections are closed.\n`)
      yield* Effect.promise(() => within("the end", holder.peer.ended))
      yield* well("grant", "revoke", "--all")
      assert.strictEqual(
        (yield* well("grant", "list")).stderr,
        "Nothing is granted. Grant something with: tokenkeep grant add\n",
      )
    }),
  )

  it.live("keeps a grant over a restart if it was asked to, over TCP too", () =>
    Effect.gen(function* () {
      const port = 20_000 + (process.pid % 20_000)
      const { host, serve, well } = yield* prepare("--tcp", `127.0.0.1:${port}`)
      const kept = environmentIn((yield* well("grant", "add", "--allow", "github:*", "--keep")).stdout)
      const remote = environmentIn((yield* well("grant", "add", "--allow", "github:*", "--keep", "--tcp")).stdout)
      yield* well("grant", "add", "--allow", "github:*")
      assert.strictEqual(remote.socket, `tcp://127.0.0.1:${port}`)
      host.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => host.ended)).code, 0)
      yield* serve
      const list: { grants: ReadonlyArray<object> } = JSON.parse((yield* well("grant", "list", "--json")).stdout)
      assert.lengthOf(list.grants, 2)
      for (const { capability, socket } of [kept, remote]) {
        const holder = yield* Effect.promise(() => connect(socket, capability))
        assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", work)), "ok")
        holder.peer.leave()
      }
    }),
  )

  it.live("says what is wrong, and what to type", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const run = (args: string, environment: Program.Environment = {}) =>
        Program.run(args.split(" "), { TOKENKEEP_HOME: home, ...environment })
      const outcomes = yield* Effect.all(
        [
          run("grant list"),
          run("grant list --host-socket /nowhere/host.sock"),
          run("approve", { TOKENKEEP_SOCKET: "/run/host.sock" }),
          run("grant add --for 8h"),
          run("grant revoke"),
        ],
        { concurrency: 2 },
      )
      const expected = [
        [7, `Nobody answers at ${home}/host.sock. Start the host with: tokenkeep serve`],
        [7, "Nobody answers at /nowhere/host.sock. Start the host with: tokenkeep serve"],
        [2, "Grants are kept on the host. Type this there, or without TOKENKEEP_SOCKET."],
        [2, "Say what to grant, with --allow or --allow-key."],
        [2, "Name the grants to end, or end them --all."],
      ] as const
      for (const [i, [code, words]] of expected.entries()) {
        assert.deepStrictEqual(outcomes[i], { code, stdout: "", stderr: `tokenkeep: ${words}\n` })
      }
    }),
  )
})

describe("tokenkeep approve", () => {
  it.live("answers what waits, as the log of the server says", () =>
    Effect.gen(function* () {
      const { host, well } = yield* prepare("--ask")
      const { capability, socket } = environmentIn((yield* well("grant", "add", "--allow", "github:work")).stdout)
      const holder = yield* Effect.promise(() => connect(socket, capability))
      const reply = holder.codeOf("get_token", { ...other, bucket: "other" })
      const [, id = ""] = yield* Effect.promise(() =>
        host.said(
          "stderr",
          /sandbox asks for get_token of github:other\. Answer with: tokenkeep approve ([0-9a-f]{4}) once/,
        ),
      )
      const open = yield* well("approve")
      assert.match(open.stdout, new RegExp(`^${id}  sandbox asks for get_token of github:other, \\d+ s ago\n$`))
      const answered = yield* well("approve", id, "once")
      assert.strictEqual(answered.stderr, "sandbox asks for get_token of github:other: allowed once.\n")
      assert.strictEqual(yield* Effect.promise(() => reply), "ok")
      assert.deepStrictEqual(JSON.parse((yield* well("approve", "--json")).stdout), { version: 1, questions: [] })
    }),
  )
})
