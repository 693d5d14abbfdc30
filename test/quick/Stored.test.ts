/**
 * A token from the store: what is answered quickly is what the whole program would have said, in any state of the store.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Duration, Effect } from "effect"
import * as fc from "fast-check"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as RecordVersions from "../../src/broker/RecordVersions.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"
import * as Configuration from "../../src/quick/Configuration.ts"
import * as Quick from "../../src/quick/Quick.ts"
import * as StoredToken from "../../src/quick/StoredToken.ts"
import { record as anyRecord } from "../support/ArbitraryRecord.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WholeProgram from "./WholeProgram.ts"

const stdin = () => Promise.resolve(undefined)

const isLinux = process.platform === "linux"

/** What is said quickly; undefined where nothing is. */
const quick = (args: ReadonlyArray<string>, env: WholeProgram.Environment, isTerminal = false) =>
  Effect.promise(() =>
    Promise.resolve()
      .then(() => Quick.answer(args, { env, isTerminal, stdin }))
      .catch(() => undefined),
  )

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }

/** What may stand in the place of something in a file. */
const odd: fc.Arbitrary<Json | undefined> = fc.constantFrom(
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  1e20,
  "",
  "x",
  "é\u0000\u2028",
  'a"\\b',
  "2030-01-01",
  "2030-01-01T00:00:00Z",
  "2030-13-01T00:00:00.000Z",
  "1999-01-01T00:00:00.000Z",
  [],
  ["x"],
  {},
  { x: 1 },
)

/** Puts something else at a place in a value: the path says which of its members, again and again. */
const changed = (value: Json, path: ReadonlyArray<number>, to: Json | undefined): Json => {
  const [at, ...rest] = path
  if (at === undefined || typeof value !== "object" || value === null) return to ?? null
  const entries = Object.entries(value)
  const chosen = entries[at % Math.max(1, entries.length)]
  if (chosen === undefined) return to ?? null
  const [name, member] = chosen
  const isLast = rest.length === 0 || typeof member !== "object" || member === null
  if (isLast && to === undefined) return Object.fromEntries(entries.filter(([other]) => other !== name))
  const put = isLast ? (to ?? null) : changed(member, rest, to)
  return Array.isArray(value) ? value.with(at % entries.length, put) : { ...value, [name]: put }
}

const iso = (from: number) => DateTime.formatIso(DateTime.makeUnsafe(Effect.runSync(Clock.currentTimeMillis) + from))

/** A record as it is written, whose token is good for so many milliseconds. */
const written = (left: number | undefined, more: { readonly [name: string]: Json } = {}): Json => ({
  version: RecordVersions.current,
  provider: "example",
  bucket: "default",
  token: {
    accessToken: "access-1",
    refreshToken: "refresh-1",
    tokenType: "bearer",
    scope: "a b",
    extras: { account_id: "1" },
    ...(left !== undefined && { expiresAt: iso(left) }),
  },
  since: iso(-60_000),
  grantedBy: { server: "https://id.example", clientId: "c" },
  history: { epoch: 0, standing: { _tag: "Good" }, rotation: "unknown", failures: 0 },
  ...more,
})

const attempt = { at: "2026-01-01T00:00:00.000Z", pid: 1, refreshTokenHash: "0".repeat(64) }

const histories: fc.Arbitrary<Json> = fc.record({
  epoch: fc.nat(),
  standing: fc.constantFrom<Json>(
    { _tag: "Good" },
    { _tag: "Sent", attempt },
    { _tag: "Suspect", attempt },
    { _tag: "Refused", at: attempt.at },
    { _tag: "Refused", at: attempt.at, lost: attempt },
    { _tag: "Other" },
    { _tag: "Sent" },
  ),
  rotation: fc.constantFrom("observed", "none", "unknown", "other"),
  failures: fc.nat(3),
})

const contents: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .constantFrom(undefined, undefined, 120_000, -1, 29_000, 120_000)
      .map((left) => JSON.stringify(written(left))),
  },
  { weight: 2, arbitrary: histories.map((history) => JSON.stringify(written(120_000, { history }))) },
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }), odd)
      .map(([path, to]) => JSON.stringify(changed(written(120_000), path, to))),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<{ readonly [name: string]: Json }>(
        { version: 1 },
        { version: RecordVersions.current + 1 },
        { providerVersion: 0 },
        { providerVersion: 1 },
        { provider: "other" },
        { bucket: "work" },
        { more: { of: "it" } },
      )
      .map((more) => JSON.stringify(written(120_000, more))),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(700), fc.constantFrom("", "\\", '"', "\u0000", "\ud800", "ÿ")).map(([at, text]) => {
      const whole = JSON.stringify(written(120_000))
      return whole.slice(0, at) + text + whole.slice(at + 1)
    }),
  },
)

const plain = { issuer: "https://id.example", clientId: "c", scopes: [], flows: ["device_code"] }

const records: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(plain),
  fc.tuple(fc.array(fc.nat(6), { minLength: 1, maxLength: 3 }), odd).map(([path, to]) => changed(plain, path, to)),
  fc
    .tuple(fc.constantFrom("issuer", "redirectUris", "api", "headers", "pkce", "extends", "publicFields", "xyz"), odd)
    .map(([name, value]) => ({ ...plain, [name]: value ?? null })),
  fc.constantFrom<Json>(
    { ...plain, issuer: "http://127.0.0.1:80" },
    { ...plain, issuer: "http://id.example" },
    { ...plain, issuer: "https://id.example:99999" },
    { ...plain, issuer: "https://1.2.3.999" },
    { ...plain, issuer: "https://id.0x1" },
    { ...plain, clientSecret: { env: "SECRET" } },
    { ...plain, publicFields: ["refresh_token"] },
    { extends: "github", clientId: "c" },
    { extends: "oidc", issuer: "https://id.example", clientId: "c" },
    { extends: "nobody" },
    { clientId: "c" },
  ),
)

const configurations: fc.Arbitrary<string | undefined> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(undefined, JSON.stringify({ providers: { example: plain } })) },
  { weight: 6, arbitrary: records.map((example) => JSON.stringify({ providers: { example } })) },
  {
    weight: 2,
    arbitrary: fc.tuple(records, records).map((all) =>
      JSON.stringify({
        providers: all.map((record) =>
          typeof record === "object" && record !== null ? { ...record, name: "example" } : record,
        ),
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: odd.map((onEvent) => JSON.stringify({ onEvent: onEvent === undefined ? ["true"] : onEvent })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", "{", "[]", "null", "1", '{"providers": 1}', '{"providers": ["./none.ts"]}'),
  },
)

const lines: fc.Arbitrary<ReadonlyArray<string>> = fc.oneof(
  { weight: 10, arbitrary: fc.constant(["token", "example"]) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ["token", "example:default"],
      ["token", "example:work"],
      ["token", "exam%70le"],
      ["token", "example "],
      ["token", "Example"],
      ["token", "HTTPS://example"],
      ["token", "*"],
      ["token", ""],
      ["token", "example", "--min-ttl", "10s"],
      ["token", "example", "--min-ttl=10s"],
      ["token", "example", "--min-ttl", "0"],
      ["token", "example", "--min-ttl", "10m"],
      ["token", "example", "--min-ttl", "10x"],
      ["token", "example", "--min-ttl=1=2"],
      ["token", "example", "more"],
      ["token", "--", "example"],
    ),
  },
)

const faults = fc.constantFrom(
  "file 644",
  "file 400",
  "folder 755",
  "link",
  "link to a folder",
  "a folder",
  "nothing",
  "a follower",
  "a fake follower",
)

describe.skipIf(!isLinux)("a token from the store", () => {
  it.live("is said as the whole program says it, or not at all", () =>
    Effect.gen(function* () {
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      let answered = 0
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            contents,
            configurations,
            lines,
            fc.option(faults, { freq: 1 }),
            (content, config, args, fault) =>
              run(
                Effect.gen(function* () {
                  const home = yield* TemporaryHome.make
                  const folder = `${home}/accounts/example`
                  const file = `${folder}/default.json`
                  mkdirSync(folder, { recursive: true, mode: 0o700 })
                  writeFileSync(file, content, { mode: 0o600 })
                  if (config !== undefined) writeFileSync(`${home}/config.json`, config)
                  if (fault === "file 644") chmodSync(file, 0o644)
                  if (fault === "file 400") chmodSync(file, 0o400)
                  if (fault === "folder 755") chmodSync(folder, 0o755)
                  if (fault === "nothing") rmSync(file)
                  if (fault === "link") {
                    renameSync(file, `${home}/elsewhere`)
                    symlinkSync(`${home}/elsewhere`, file)
                  }
                  if (fault === "link to a folder") {
                    renameSync(folder, `${home}/elsewhere`)
                    symlinkSync(`${home}/elsewhere`, folder)
                  }
                  if (fault === "a folder") {
                    rmSync(file)
                    mkdirSync(file)
                  }
                  if (fault?.endsWith("follower") === true) {
                    mkdirSync(`${home}/events`, { mode: 0o700 })
                    writeFileSync(`${home}/events/all-${"0".repeat(16)}.sock`, "")
                  }
                  const env = { TOKENKEEP_HOME: home }
                  const stdout = yield* quick(args, env)
                  if (stdout === undefined) return
                  answered++
                  assert.deepStrictEqual(yield* WholeProgram.run(args, env), { stdout, stderr: [], code: 0 })
                  assert.isUndefined(yield* quick(args, env, true), "a terminal is warned")
                }).pipe(Effect.scoped),
              ),
          ),
          { numRuns: 250 },
        ),
      )
      // It is not that nothing is ever said.
      assert.isAbove(answered, 0)
    }),
  )

  it.live("is said whatever its history is, and wherever the user's folders are", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const kept = [...fc.sample(anyRecord, { numRuns: 20, seed: 1 }), recordOf("one")].map((record, n) => ({
        name: `p${n}`,
        record: { ...record, token: { ...record.token, expiresAt: DateTime.makeUnsafe("2999-01-01T00:00:00Z") } },
      }))
      yield* loggedIn(home, Object.fromEntries(kept.map(({ name, record }) => [name, record])))
      for (const { name } of kept) {
        const stdout = yield* quick(["token", name], { TOKENKEEP_HOME: home })
        assert.isDefined(stdout, name)
        assert.deepStrictEqual(yield* WholeProgram.run(["token", name], { TOKENKEEP_HOME: home }), {
          stdout,
          stderr: [],
          code: 0,
        })
      }
      mkdirSync(`${home}/user/.local/share/tokenkeep`, { recursive: true })
      renameSync(`${home}/accounts`, `${home}/user/.local/share/tokenkeep/accounts`)
      const environments: ReadonlyArray<WholeProgram.Environment> = [
        { HOME: `${home}/user` },
        { HOME: `${home}/user/` },
        { HOME: "/nowhere", XDG_DATA_HOME: `${home}/user/.local/share` },
        { HOME: `${home}/user`, XDG_DATA_HOME: "relative" },
        { HOME: `${home}/user`, XDG_CONFIG_HOME: `${home}/none`, XDG_STATE_HOME: `${home}/none` },
        { HOME: `${home}/user`, TOKENKEEP_SESSION_TIMEOUT_SECONDS: "x" },
        { HOME: `${home}/user`, TOKENKEEP_HOME: "" },
      ]
      const said: Array<string | undefined> = []
      for (const env of environments) {
        const stdout = yield* quick(["token", "p0"], env)
        said.push(stdout)
        if (stdout === undefined) continue
        assert.deepStrictEqual(yield* WholeProgram.run(["token", "p0"], env), { stdout, stderr: [], code: 0 })
      }
      const abstains = said.map((stdout) => stdout === undefined)
      assert.deepStrictEqual(abstains, [false, false, false, true, false, true, true])
    }),
  )

  it("is told of to nobody who listens", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const home = yield* TemporaryHome.make
        yield* loggedIn(home, { example: recordOf("one") })
        const env = { TOKENKEEP_HOME: home }
        assert.strictEqual(yield* quick(["token", "example"], env), "access-one\n")
        mkdirSync(`${home}/events`, { mode: 0o700 })
        assert.isDefined(yield* quick(["token", "example"], env))
        const server = createServer()
        yield* Effect.promise(
          () => new Promise<void>((done) => server.listen(`${home}/events/logins-${"1".repeat(16)}.sock`, done)),
        )
        assert.isUndefined(yield* quick(["token", "example"], env))
        yield* Effect.promise(() => new Promise((done) => server.close(done)))
        writeFileSync(`${home}/config.json`, JSON.stringify({ onEvent: ["true"] }))
        assert.isDefined(yield* quick(["token", "example"], env))
        writeFileSync(
          `${home}/config.json`,
          JSON.stringify({ onEvent: { command: ["true"], events: ["token_served"] } }),
        )
        assert.isUndefined(yield* quick(["token", "example"], env))
        writeFileSync(`${home}/config.json`, JSON.stringify({ providers: ["./plugin.ts"] }))
        assert.isUndefined(yield* quick(["token", "example"], env))
      }).pipe(Effect.scoped),
    ))

  it("knows what is written elsewhere", () => {
    assert.strictEqual(StoredToken.version, RecordVersions.current)
    assert.strictEqual(StoredToken.minimumValidity, Duration.toMillis(BrokerConfig.defaults("").minimumValidity))
    const lacking = builtIn.map(({ name }) => {
      const resolution = resolve(name, undefined, builtIn)
      return [name, resolution._tag === "Incomplete" ? resolution.missing.toSorted() : []]
    })
    const known = Object.entries(Configuration.missing).map(([name, missing]) => [name, [...missing].toSorted()])
    assert.deepStrictEqual(known, lacking)
    assert.isTrue(
      builtIn.every(({ migrations = [] }) => migrations.length === 0),
      "what is kept is as it is read",
    )
  })
})
