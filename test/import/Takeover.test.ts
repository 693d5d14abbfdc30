/**
 * Taking logins over, adopting them, and giving them back: byte for byte, and killed at every step.
 */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as fc from "fast-check"
import * as Account from "../../src/domain/AccountKey.ts"
import { Adoptions } from "../../src/import/Adoptions.ts"
import { Takeover } from "../../src/import/Takeover.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { Adopted } from "../../src/broker/Adopted.ts"
import * as Importing from "../support/Importing.ts"
import * as Logs from "../support/Logs.ts"
import { tagOf } from "../support/tagOf.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const { adopt, golden, isAlive, ours, place, processIn, refreshed, take, undo } = Importing

const claudeFile = ".claude/.credentials.json"
const refreshToken = "sk-ant-ort01-EXAMPLE"
const codex = Account.make("codex")

const setUp = Effect.gen(function* () {
  const home = yield* TemporaryHome.make
  const text = golden("claude/credentials.json")
  const path = yield* place(home, claudeFile, text)
  return { home, path, text, process: Effect.provide(processIn(home)), theirs: () => refreshTokenIn(path) }
})

const refreshTokenIn = (path: string): string => JSON.parse(readFileSync(path, "utf8")).claudeAiOauth.refreshToken

const adoptionOf = (account = Importing.anthropicAccount) => Effect.flatMap(Adoptions, ({ get }) => get(account))

describe("a login that is adopted", () => {
  it.live(
    "leaves its tool the access token, and every other byte; refreshes reach the tool; and it can be given back",
    () =>
      Effect.gen(function* () {
        const { home, path, process, text } = yield* setUp
        chmodSync(path, 0o640)
        yield* process(adopt("claude"))
        assert.strictEqual(readFileSync(path, "utf8"), text.replace(refreshToken, ""))
        assert.strictEqual(statSync(path).mode & 0o777, 0o640)
        assert.strictEqual(yield* ours(home), refreshToken)
        assert.strictEqual(readFileSync(`${home}/tk/adopted/anthropic/default.original`, "utf8"), text)
        assert.strictEqual(statSync(`${home}/tk/adopted/anthropic/default.original`).mode & 0o777, 0o600)
        assert.notInclude(readFileSync(`${home}/tk/adopted/anthropic/default.json`, "utf8"), "EXAMPLE")

        yield* process(refreshed("1"))
        yield* process(refreshed("2"))
        const fed = text
          .replace(refreshToken, "")
          .replace("sk-ant-oat01-EXAMPLE", "access-2")
          .replace("1900000000000", String(Date.parse("2031-01-01T00:00:00Z")))
        assert.strictEqual(readFileSync(path, "utf8"), fed)

        // What the tool has changed besides stays.
        writeFileSync(path, fed.replace("device-EXAMPLE", "another device"))
        const returned = yield* process(undo())
        assert.deepStrictEqual(returned, { _tag: "Returned", isSpent: false })
        assert.strictEqual(
          readFileSync(path, "utf8"),
          fed.replace('"refreshToken":""', '"refreshToken":"refresh-2"').replace("device-EXAMPLE", "another device"),
        )
        assert.strictEqual(statSync(path).mode & 0o777, 0o640)
        assert.isUndefined(yield* ours(home))
        assert.deepStrictEqual(yield* process(adoptionOf()), Option.none())
        assert.deepStrictEqual(readdirSync(`${home}/.claude`), [".credentials.json"])
        assert.deepStrictEqual(readdirSync(`${home}/tk/adopted/anthropic`), [])
        assert.strictEqual(yield* tagOf(process(undo())), "ImportRefused")
      }),
  )

  it.live("of Codex gets the time of the refresh and the ID token as well, and can be behind a symbolic link", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const text = golden("codex/auth.json")
      const target = yield* place(home, "dotfiles/codex-auth.json", text)
      yield* place(home, ".codex/config.toml", "")
      symlinkSync(target, `${home}/.codex/auth.json`)
      const process = Effect.provide(processIn(home))
      yield* process(adopt("codex", codex))
      assert.include(readFileSync(target, "utf8"), '"refresh_token": ""')
      yield* process(refreshed("1", codex))
      const { last_refresh, tokens, ...rest } = JSON.parse(readFileSync(target, "utf8"))
      assert.isTrue(lstatSync(`${home}/.codex/auth.json`).isSymbolicLink())
      assert.match(last_refresh, /^20\d\d-\d\d-\d\dT[\d:.]+Z$/)
      assert.notStrictEqual(last_refresh, "2026-01-01T00:00:00Z")
      const before = JSON.parse(text)
      assert.deepStrictEqual(tokens, { ...before.tokens, access_token: "access-1", refresh_token: "" })
      assert.deepStrictEqual(rest, {
        auth_mode: before.auth_mode,
        OPENAI_API_KEY: before.OPENAI_API_KEY,
        agent_identity: before.agent_identity,
      })
      yield* process(undo(codex))
      assert.strictEqual(JSON.parse(readFileSync(target, "utf8")).tokens.refresh_token, "refresh-1")
    }),
  )

  it.live("of opencode is one of several in its file", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const text = golden("opencode/auth.json")
      const path = yield* place(home, ".local/share/opencode/auth.json", text)
      const process = Effect.provide(processIn(home))
      yield* process(adopt("opencode", Importing.anthropicAccount, "anthropic"))
      assert.strictEqual(readFileSync(path, "utf8"), text.replace(refreshToken, ""))
      yield* process(undo())
      assert.strictEqual(readFileSync(path, "utf8"), text)
    }),
  )

  it.live("changes nothing of what is around it, whatever that is", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
          fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
          fc.constantFrom(undefined, 1, 3, "\t"),
          async (outside, inside, indentation) => {
            const login = { accessToken: "a-1", ...inside, refreshToken: "r-1", expiresAt: 1_900_000_000_000 }
            const text = JSON.stringify(
              { ...outside, claudeAiOauth: { ...login, accessToken: "a-1", scopes: ["x"] } },
              null,
              indentation,
            )
            await Effect.runPromise(
              Effect.gen(function* () {
                const home = yield* TemporaryHome.make
                const path = yield* place(home, claudeFile, text)
                yield* Effect.provide(adopt("claude"), processIn(home))
                assert.strictEqual(readFileSync(path, "utf8"), replaceLast(text, '"r-1"', '""'))
                yield* Effect.provide(undo(), processIn(home))
                assert.strictEqual(readFileSync(path, "utf8"), text)
              }).pipe(Effect.scoped),
            )
          },
        ),
        { numRuns: 15 },
      ),
    ),
  )

  for (const [what, change, why, after] of [
    [
      "has logged in anew",
      (text: string) => text.replace('"refreshToken":""', '"refreshToken":"own"'),
      "logged in anew",
      "KeptApart",
    ],
    ["has logged out", () => golden("claude/logged-out.json"), "logged out", "Returned"],
    [
      "has another access token",
      (text: string) => text.replace("oat01-EXAMPLE", "oat01-OTHER"),
      "another access token",
      "Returned",
    ],
    ["has no login any more", () => golden("claude/only-mcp.json"), "no login there", "Returned"],
  ] as const) {
    it.live(`whose tool ${what} is left alone from then on, and the login stays here`, () =>
      Effect.gen(function* () {
        const { home, path, process } = yield* setUp
        yield* process(adopt("claude"))
        const changed = change(readFileSync(path, "utf8"))
        writeFileSync(path, changed)
        const logs = Logs.make()
        yield* process(refreshed("1")).pipe(Effect.provide(logs.layer))
        yield* process(refreshed("2")).pipe(Effect.provide(logs.layer))
        assert.strictEqual(readFileSync(path, "utf8"), changed)
        assert.strictEqual(yield* ours(home), "refresh-2")
        assert.lengthOf(logs.lines, 1)
        assert.include(logs.lines[0], why)
        const returned = yield* process(undo())
        assert.strictEqual(returned._tag, after)
        const text = readFileSync(path, "utf8")
        if (after === "KeptApart") assert.strictEqual(text, changed)
        else assert.strictEqual(refreshTokenIn(path), "refresh-2")
        assert.strictEqual(yield* ours(home), after === "KeptApart" ? "refresh-2" : undefined)
        assert.deepStrictEqual(yield* process(adoptionOf()), Option.none())
      }),
    )
  }

  it.live("whose file is gone gets it back as it was, with the refresh token of now", () =>
    Effect.gen(function* () {
      const { path, process, text } = yield* setUp
      yield* process(adopt("claude"))
      rmSync(path)
      yield* process(refreshed("1"))
      assert.isFalse(existsSync(path))
      yield* process(undo())
      assert.strictEqual(refreshTokenIn(path), "refresh-1")
      assert.strictEqual(JSON.parse(readFileSync(path, "utf8")).trustedDeviceToken, JSON.parse(text).trustedDeviceToken)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    }),
  )

  it.live("whose file is damaged for a moment is fed when it no longer is", () =>
    Effect.gen(function* () {
      const { home, path, process } = yield* setUp
      yield* process(adopt("claude"))
      const whole = readFileSync(path, "utf8")
      writeFileSync(path, whole.slice(0, 40))
      yield* process(refreshed("1"))
      assert.strictEqual(readFileSync(path, "utf8"), whole.slice(0, 40))
      assert.strictEqual(yield* tagOf(process(undo())), "ImportRefused")
      assert.strictEqual(yield* ours(home), "refresh-1")
      writeFileSync(path, whole)
      yield* process(adopt("claude"))
      assert.include(readFileSync(path, "utf8"), "access-1")
    }),
  )

  it.live("that was forgotten here has nothing to give back, and its tool is told nothing", () =>
    Effect.gen(function* () {
      const { path, process } = yield* setUp
      yield* process(adopt("claude"))
      const before = readFileSync(path, "utf8")
      yield* process(Effect.flatMap(Accounts, ({ remove }) => remove(Importing.anthropicAccount)))
      assert.deepStrictEqual(yield* process(undo()), { _tag: "NothingHere" })
      assert.strictEqual(readFileSync(path, "utf8"), before)
    }),
  )

  it.live("stays the tool's where its folder cannot be written to, and nothing is kept here", () =>
    Effect.gen(function* () {
      const { home, path, process, text } = yield* setUp
      // A name so long that no temporary file can stand beside it; the superuser minds no mode.
      const long = `${home}/.claude/${"x".repeat(240)}`
      renameSync(path, long)
      symlinkSync(long, path)
      assert.strictEqual(yield* tagOf(process(adopt("claude"))), "FileTrouble")
      assert.strictEqual(readFileSync(path, "utf8"), text)
      assert.isUndefined(yield* ours(home))
      assert.deepStrictEqual(yield* process(adoptionOf()), Option.none())
    }),
  )

  it.live("is left alone where its tool has a login of another kind by now", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const path = yield* place(home, ".local/share/opencode/auth.json", golden("opencode/auth.json"))
      const process = Effect.provide(processIn(home))
      yield* process(adopt("opencode", Importing.anthropicAccount, "anthropic"))
      const keyed = '{"anthropic":{"type":"api","key":"sk-EXAMPLE"}}'
      writeFileSync(path, keyed)
      assert.deepStrictEqual(yield* process(spentBy), Option.none())
      yield* process(refreshed("1"))
      assert.strictEqual((yield* process(undo()))._tag, "KeptApart")
      assert.strictEqual(readFileSync(path, "utf8"), keyed)
      assert.strictEqual(yield* ours(home), "refresh-1")
    }),
  )

  it.live("is given back as it was written, to the last digit", () =>
    Effect.gen(function* () {
      const { path, process, text } = yield* setUp
      const precise = text.replace('"accessToken"', '"number" : 12345678901234567890.10, "accessToken"')
      writeFileSync(path, precise)
      yield* process(adopt("claude"))
      writeFileSync(path, '{ "mcp": 98765432109876543210 }\n')
      yield* process(undo())
      const given = readFileSync(path, "utf8")
      assert.include(given, '"number" : 12345678901234567890.10')
      assert.include(given, '"mcp": 98765432109876543210')
      assert.strictEqual(refreshTokenIn(path), refreshToken)
    }),
  )

  it.live("stays the tool's where its file has another name, which would keep the refresh token", () =>
    Effect.gen(function* () {
      const { home, path, process, text } = yield* setUp
      linkSync(path, `${home}/copy`)
      assert.strictEqual(yield* tagOf(process(adopt("claude"))), "ImportRefused")
      assert.strictEqual(readFileSync(path, "utf8"), text)
      assert.isUndefined(yield* ours(home))
    }),
  )

  it.live("is moved also where its folder can be written to and not be opened", () =>
    Effect.gen(function* () {
      const { home, theirs } = yield* setUp
      const process = Effect.provide(processIn(home, { unopened: `${home}/.claude` }))
      yield* process(adopt("claude"))
      assert.deepStrictEqual([theirs(), yield* ours(home)], ["", refreshToken])
      yield* process(undo())
      assert.deepStrictEqual([theirs(), yield* ours(home)], [refreshToken, undefined])
    }),
  )

  it.live("has one owner if it is given back while another process waits to see to it", () =>
    Effect.gen(function* () {
      const { home, path, process, theirs } = yield* setUp
      yield* process(adopt("claude"))
      yield* process(refreshed("1"))
      const adoption = `${home}/tk/adopted/anthropic/default.json`
      let happened = false
      // As far as somebody came who was killed over it.
      const beforeLock = () => {
        if (happened) return
        happened = true
        const returning = createHash("sha256").update("refresh-1").digest("hex")
        writeFileSync(adoption, JSON.stringify({ ...JSON.parse(readFileSync(adoption, "utf8")), returning }))
        writeFileSync(path, readFileSync(path, "utf8").replace('"refreshToken":""', '"refreshToken":"refresh-1"'))
      }
      yield* Effect.flatMap(Takeover, ({ settle }) => settle).pipe(Effect.provide(processIn(home, { beforeLock })))
      assert.isTrue(happened)
      yield* process(undo())
      assert.deepStrictEqual([theirs(), yield* ours(home)], ["refresh-1", undefined])
    }),
  )

  it.live("is not put in the place of another login, nor another in its place", () =>
    Effect.gen(function* () {
      const { home, path, process, text } = yield* setUp
      yield* place(home, ".local/share/opencode/auth.json", golden("opencode/auth.json"))
      yield* process(take("opencode", Importing.anthropicAccount))
      assert.strictEqual(yield* tagOf(process(adopt("claude"))), "AccountExists")
      assert.strictEqual(readFileSync(path, "utf8"), text)
      const work = Account.make("anthropic", "work")
      yield* process(adopt("claude", work))
      assert.strictEqual(yield* tagOf(process(take("opencode", work, true))), "ImportRefused")
      assert.strictEqual(yield* ours(home, work), refreshToken)
    }),
  )
})

/** Why its refresh token must not be sent, and whether the record has it still. */
const spentBy = Effect.gen(function* () {
  const record = yield* Effect.flatMap(Accounts, ({ get }) => get(Importing.anthropicAccount))
  return yield* (yield* Adopted).spentBy(Importing.anthropicAccount, Option.getOrThrow(record))
})

describe("a tool that had begun a refresh before its login was moved", () => {
  const movedTooLate = Effect.gen(function* () {
    const world = yield* setUp
    yield* world.process(adopt("claude"))
    assert.deepStrictEqual(yield* world.process(spentBy), Option.none())
    // What it got for the refresh token that is here now.
    writeFileSync(world.path, world.text.replace(refreshToken, "newer"))
    return world
  })

  it.live("is not logged out by a use of the token that it has spent, and can be moved again", () =>
    Effect.gen(function* () {
      const { home, process, theirs } = yield* movedTooLate
      assert.include(
        Option.getOrThrow(yield* process(spentBy)),
        "it was not sent. Move the login here again with: tokenkeep import claude",
      )
      yield* Effect.flatMap(Takeover, ({ settle }) => settle).pipe(process)
      assert.include(Option.getOrThrow(yield* process(spentBy)), "it was not sent")
      yield* process(adopt("claude"))
      assert.deepStrictEqual([theirs(), yield* ours(home)], ["", "newer"])
      assert.deepStrictEqual(yield* process(spentBy), Option.none())
    }),
  )

  it.live("keeps the login if it is to have it again", () =>
    Effect.gen(function* () {
      const { home, process, theirs } = yield* movedTooLate
      assert.strictEqual((yield* process(undo()))._tag, "Returned")
      assert.deepStrictEqual([theirs(), yield* ours(home)], ["newer", undefined])
    }),
  )

  it.live("is not, by one whose token was refreshed here since", () =>
    Effect.gen(function* () {
      const { path, process, text } = yield* setUp
      yield* process(adopt("claude"))
      yield* process(refreshed("1"))
      writeFileSync(path, text.replace(refreshToken, "own"))
      assert.deepStrictEqual(yield* process(spentBy), Option.none())
    }),
  )
})

describe("a logout of an adopted login", () => {
  it.live("leaves no token of it in a file of ours, and says which tool is logged out with it", () =>
    Effect.gen(function* () {
      const { home, path, process } = yield* setUp
      yield* process(adopt("claude"))
      const before = readFileSync(path, "utf8")
      const logs = Logs.make()
      yield* Effect.gen(function* () {
        yield* Effect.flatMap(Accounts, ({ remove }) => remove(Importing.anthropicAccount))
        yield* (yield* Adopted).forgotten(Importing.anthropicAccount)
      }).pipe(process, Effect.provide(logs.layer))
      assert.deepStrictEqual(readdirSync(`${home}/tk/adopted/anthropic`), ["default.json"])
      assert.lengthOf(logs.lines, 1)
      assert.include(logs.lines[0], `${path} is left alone from now on`)
      assert.strictEqual(readFileSync(path, "utf8"), before)
      assert.deepStrictEqual(yield* process(undo()), { _tag: "NothingHere" })
      assert.deepStrictEqual(readdirSync(`${home}/tk/adopted/anthropic`), [])
    }),
  )
})

/** What is true whenever a process has died: the refresh token that is good is somewhere. */
const assertKept = Effect.fnUntraced(function* (home: string, theirs: string, good: string, when: string) {
  assert.include([theirs, yield* ours(home)], good, when)
})

describe("whoever is killed", () => {
  for (const meanwhile of ["nothing happens", "the login is refreshed here"] as const) {
    it.live(`over adopting a login loses nothing, and does it again, if ${meanwhile} meanwhile`, () =>
      Effect.gen(function* () {
        let killAt = 0
        for (let lived = false; !lived; killAt++) {
          const { home, path, process, text, theirs } = yield* setUp
          lived = isAlive(yield* Effect.exit(Effect.provide(adopt("claude"), processIn(home, { killAt }))))
          const when = `killed at ${killAt}`
          yield* assertKept(home, theirs(), refreshToken, when)
          let good = refreshToken
          if (meanwhile !== "nothing happens" && (yield* ours(home)) !== undefined) {
            yield* process(refreshed("1"))
            good = "refresh-1"
          }
          yield* process(adopt("claude"))
          assert.strictEqual(theirs(), "", when)
          assert.strictEqual(yield* ours(home), good, when)
          yield* process(undo())
          assert.strictEqual(theirs(), good, when)
          assert.isUndefined(yield* ours(home), when)
          if (good === refreshToken) assert.strictEqual(readFileSync(path, "utf8"), text, when)
        }
        assert.isAbove(killAt, 8)
      }),
    )

    it.live(`over giving a login back loses nothing, and does it again, if ${meanwhile} meanwhile`, () =>
      Effect.gen(function* () {
        let killAt = 0
        for (let lived = false; !lived; killAt++) {
          const { home, process, theirs } = yield* setUp
          yield* process(adopt("claude"))
          yield* process(refreshed("1"))
          lived = isAlive(yield* Effect.exit(Effect.provide(undo(), processIn(home, { killAt }))))
          const when = `killed at ${killAt}`
          yield* assertKept(home, theirs(), "refresh-1", when)
          let good = "refresh-1"
          if (meanwhile !== "nothing happens" && (yield* ours(home)) !== undefined) {
            yield* process(refreshed("2"))
            good = "refresh-2"
            yield* assertKept(home, theirs(), good, when)
          }
          const isOver = Option.isNone(yield* process(adoptionOf()))
          if (!isOver) yield* process(undo())
          assert.strictEqual(theirs(), good, when)
          assert.isUndefined(yield* ours(home), when)
          assert.deepStrictEqual(yield* process(adoptionOf()), Option.none(), when)
          if (!isOver) assert.deepStrictEqual(readdirSync(`${home}/.claude`), [".credentials.json"], when)
        }
        assert.isAbove(killAt, 5)
      }),
    )
  }

  it.live("over adopting a login in the place of another loses neither to the refreshes of that one", () =>
    Effect.gen(function* () {
      const other = '{"anthropic":{"type":"oauth","refresh":"other","access":"a","expires":1900000000000}}'
      const adoptInstead = adopt("claude", Importing.anthropicAccount, undefined, true)
      let killAt = 0
      for (let lived = false; !lived; killAt++) {
        const { home, process, theirs } = yield* setUp
        yield* place(home, ".local/share/opencode/auth.json", other)
        yield* process(take("opencode", Importing.anthropicAccount))
        lived = isAlive(yield* Effect.exit(Effect.provide(adoptInstead, processIn(home, { killAt }))))
        const isStillOther = (yield* ours(home)) === "other"
        if (isStillOther) yield* process(refreshed("other-2"))
        yield* assertKept(home, theirs(), refreshToken, `killed at ${killAt}`)
        if (isStillOther) assert.strictEqual(yield* ours(home), "refresh-other-2")
      }
      assert.isAbove(killAt, 8)
    }),
  )

  it.live("over giving a login back that the tool then refreshes leaves it to the tool", () =>
    Effect.gen(function* () {
      let [killAt, used] = [0, 0]
      for (let lived = false; !lived; killAt++) {
        const { home, path, process, theirs } = yield* setUp
        yield* process(adopt("claude"))
        lived = isAlive(yield* Effect.exit(Effect.provide(undo(), processIn(home, { killAt }))))
        if (theirs() === "") continue
        used++
        writeFileSync(path, readFileSync(path, "utf8").replace(refreshToken, "newer"))
        if (Option.isSome(yield* process(adoptionOf()))) yield* process(undo())
        assert.deepStrictEqual([theirs(), yield* ours(home)], ["newer", undefined], `killed at ${killAt}`)
      }
      assert.isAbove(used, 3)
    }),
  )

  it.live("over feeding a tool has the next one do it", () =>
    Effect.gen(function* () {
      let killAt = 0
      for (let lived = false; !lived; killAt++) {
        const { home, path, process } = yield* setUp
        yield* process(adopt("claude"))
        lived = isAlive(yield* Effect.exit(Effect.provide(refreshed("1"), processIn(home, { killAt }))))
        const isKept = (yield* ours(home)) === "refresh-1"
        yield* process(adopt("claude"))
        assert.strictEqual(readFileSync(path, "utf8").includes("access-1"), isKept, `killed at ${killAt}`)
        yield* process(refreshed("2"))
        assert.include(readFileSync(path, "utf8"), "access-2", `killed at ${killAt}`)
      }
      assert.isAbove(killAt, 4)
    }),
  )
})

describe("a tool that refreshes by itself", () => {
  it.live("while its login is adopted keeps the new refresh token, or we have it", () =>
    Effect.gen(function* () {
      let [killAt, retaken] = [0, 0]
      for (let happened = true; happened; killAt++) {
        const { home, path, text, theirs } = yield* setUp
        happened = false
        const instead = () => {
          happened = true
          writeFileSync(path, text.replace(refreshToken, "newer"))
        }
        yield* Effect.exit(Effect.provide(adopt("claude"), processIn(home, { killAt, instead })))
        if (!happened) break
        const here = yield* ours(home)
        // Not both: then one would log the other out.
        assert.deepStrictEqual([theirs(), here].filter((token) => token === "newer").length, 1, `at ${killAt}`)
        if (here === "newer") retaken++
      }
      assert.isAbove(killAt, 6)
      assert.isAbove(retaken, 3)
    }),
  )
})

describe("a login that is taken", () => {
  it.live("is a copy: the tool's file is not touched, now or later", () =>
    Effect.gen(function* () {
      const { home, path, process, text } = yield* setUp
      yield* process(take("claude", Importing.anthropicAccount))
      yield* process(refreshed("1"))
      assert.strictEqual(readFileSync(path, "utf8"), text)
      assert.strictEqual(yield* ours(home), "refresh-1")
      assert.strictEqual(yield* tagOf(process(take("claude", Importing.anthropicAccount))), "AccountExists")
      yield* process(take("claude", Importing.anthropicAccount, true))
      assert.strictEqual(yield* ours(home), refreshToken)
    }),
  )

  it.live("is not one whose refresh token no client here can use", () =>
    Effect.gen(function* () {
      const { home } = yield* setUp
      const withOther = Effect.provide(processIn(home, { providers: [Importing.providerOf("anthropic", "another")] }))
      assert.strictEqual(yield* tagOf(withOther(take("claude", Importing.anthropicAccount))), "ImportRefused")
      assert.strictEqual(yield* tagOf(withOther(adopt("claude"))), "ImportRefused")
      const without = Effect.provide(processIn(home, { providers: [] }))
      assert.strictEqual(yield* tagOf(without(take("claude", Importing.anthropicAccount))), "ProviderNotConfigured")
      assert.isUndefined(yield* ours(home))
    }),
  )

  it.live("is not one that is dead", () =>
    Effect.gen(function* () {
      const { home, path, process } = yield* setUp
      writeFileSync(path, golden("claude/logged-out.json"))
      assert.strictEqual(yield* tagOf(process(take("claude", Importing.anthropicAccount))), "ImportRefused")
      assert.isUndefined(yield* ours(home))
    }),
  )
})

const replaceLast = (text: string, what: string, by: string) => {
  const at = text.lastIndexOf(what)
  return text.slice(0, at) + by + text.slice(at + what.length)
}
