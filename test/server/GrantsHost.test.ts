/**
 * Grants at work: real sockets, real files, and people who try what they were not given.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Option, Redacted, Scope } from "effect"
import { Accounts } from "../../src/broker/Accounts.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { Grants } from "../../src/server/Grants.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { hold, inMillis, newGrant, other, start, termsOf, uid, work } from "../support/Granting.ts"
import * as RawPeer from "../support/RawPeer.ts"
import { tokenOf } from "../support/Records.ts"
import { tagOf } from "../support/tagOf.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const { within } = RawPeer

const begin = (options: Omit<Parameters<typeof start>[0], "home"> = {}) =>
  Effect.flatMap(TemporaryHome.make, (home) => Effect.map(start({ home, ...options }), (host) => ({ ...host, home })))

const withoutId = (reply: RawPeer.Reply | undefined) => JSON.stringify({ ...reply, id: "" })

/** What somebody shows that is no capability of ours. */
const guess = "A".repeat(43)

describe.concurrent("a grant", () => {
  it.live("lets in who shows its capability, and nobody else", () =>
    Effect.gen(function* () {
      const { entries, grants, home } = yield* begin()
      const one = yield* grants.add(newGrant({ label: "one" }))
      const two = yield* grants.add(newGrant({ label: "two" }))
      const open = yield* grants.add(newGrant({ label: "open" }, { hasCapability: false }))
      const [right, wrong, foreign, none, free] = yield* Effect.all(
        [
          hold(one),
          hold(one, guess),
          hold(one, Option.getOrUndefined(Option.map(two.capability, Redacted.value))),
          hold({ ...one, capability: Option.none() }),
          hold(open),
        ],
        { concurrency: "unbounded" },
      )
      assert.strictEqual(right.greeting?.["ok"], true)
      assert.strictEqual(free.greeting?.["ok"], true)
      for (const { greeting, peer } of [wrong, foreign, none]) {
        assert.deepStrictEqual(greeting, wrong.greeting)
        assert.strictEqual(greeting?.["code"], "UNAUTHORIZED")
        yield* Effect.promise(() => within("the end", peer.ended))
      }
      assert.containSubset(yield* Effect.promise(() => right.ask("get_token", work)), {
        ok: true,
        data: { access_token: "access-work" },
      })
      assert.strictEqual(yield* Effect.promise(() => free.codeOf("get_token", work)), "ok")
      const failed = entries.filter(({ op }) => op === "handshake")
      assert.deepStrictEqual(
        failed.map(({ grant, outcome }) => [grant, outcome]),
        Array.from({ length: 3 }, () => ["one", "UNAUTHORIZED"]),
      )
      const capability = Option.getOrThrow(one.capability)
      assert.lengthOf(Buffer.from(Redacted.value(capability), "base64url"), 32)
      assert.strictEqual(statSync(one.address).mode & 0o777, 0o600)
      assert.strictEqual(statSync(`${home}/sandboxes/${one.id}`).mode & 0o777, 0o700)
    }),
  )

  it.live("is no longer there when it is revoked: not its connections, its requests, its socket, its folder", () =>
    Effect.gen(function* () {
      const { context, grants, home, provider } = yield* begin()
      const { login } = provider
      const { token } = yield* login
      yield* Effect.provideContext(
        Effect.flatMap(Accounts, ({ update }) =>
          update(Account.make("scripted", "slow"), () =>
            Effect.succeed(
              AccountRecord.fromLogin({ ...token, expiresAt: DateTime.makeUnsafe(0) }, DateTime.makeUnsafe(0)),
            ),
          ),
        ),
        context,
      )
      yield* provider.script([Behaviour.slow("2 seconds")])
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:*"] }))
      const [idle, busy] = yield* Effect.all([hold(grant), hold(grant)])
      const underWay = busy.ask("get_token", { provider: "scripted", bucket: "slow" })
      assert.strictEqual(yield* Effect.promise(() => busy.codeOf("get_token", work)), "ok")
      yield* grants.revoke(grant.id)
      yield* Effect.promise(() => within("the end", Promise.all([idle.peer.ended, busy.peer.ended])))
      assert.strictEqual((yield* Effect.promise(() => underWay))?.["code"], "UNAUTHORIZED")
      assert.isFalse(existsSync(grant.address))
      assert.deepStrictEqual(readdirSync(`${home}/sandboxes`), [])
      assert.deepStrictEqual(yield* grants.list, [])
      assert.strictEqual(yield* tagOf(grants.revoke(grant.id)), "GrantNotFound")
      assert.strictEqual(yield* tagOf(grants.edit(grant.id, termsOf())), "GrantNotFound")
    }),
  )

  it.live("ends when its time is over, whoever is connected", () =>
    Effect.gen(function* () {
      const { grants, home } = yield* begin()
      const grant = yield* grants.add(newGrant({ expiresAt: yield* inMillis(400) }))
      const holder = yield* hold(grant)
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", work)), "ok")
      yield* Effect.sleep("400 millis")
      assert.include(
        ["FORBIDDEN", "UNAUTHORIZED", "closed"],
        yield* Effect.promise(() => holder.codeOf("get_token", work)),
      )
      yield* Effect.promise(() => within("the end", holder.peer.ended))
      yield* Effect.repeat(grants.list, { until: (list) => list.length === 0 })
      yield* Effect.repeat(
        Effect.sync(() => readdirSync(`${home}/sandboxes`)),
        { until: (left) => left.length === 0 },
      )
    }),
  )

  it.live("is edited under open connections: more at once, less at once, others at once", () =>
    Effect.gen(function* () {
      const { entries, grants } = yield* begin()
      const grant = yield* grants.add(newGrant())
      const holder = yield* hold(grant)
      const try_ = (account: object) => Effect.promise(() => holder.codeOf("get_token", account))
      assert.deepStrictEqual([yield* try_(work), yield* try_(other)], ["ok", "FORBIDDEN"])
      yield* grants.edit(grant.id, termsOf({ accounts: ["scripted:*"], label: "renamed" }))
      assert.deepStrictEqual([yield* try_(work), yield* try_(other)], ["ok", "ok"])
      yield* grants.edit(grant.id, termsOf({ accounts: ["scripted:other"], label: "renamed" }))
      assert.deepStrictEqual([yield* try_(work), yield* try_(other)], ["FORBIDDEN", "ok"])
      yield* grants.edit(grant.id, termsOf({ permissions: [], label: "renamed" }))
      assert.deepStrictEqual([yield* try_(work), yield* try_(other)], ["FORBIDDEN", "FORBIDDEN"])
      const [listed] = yield* grants.list
      assert.strictEqual(listed?.grant.label, "renamed")
      assert.notProperty(listed?.grant, "capabilityHash")

      const wider = yield* tagOf(grants.edit(grant.id, termsOf({ uids: "any" })))
      assert.strictEqual(wider, "InvalidRequest")
      assert.isAbove(entries.length, 0)
    }),
  )

  it.live("lets in only the users that it names, and sends away those that it names no longer", () =>
    Effect.gen(function* () {
      const { entries, grants } = yield* begin()
      const stranger = uid + 1
      const strangers = yield* grants.add(newGrant({ uids: [stranger], label: "strangers" }))
      const everybody = yield* grants.add(newGrant({ uids: "any" }))
      assert.strictEqual(statSync(everybody.address).mode & 0o777, 0o666)
      const holder = yield* hold(everybody)
      assert.strictEqual(holder.greeting?.["ok"], true)
      const turnedAway = yield* hold(strangers)
      assert.strictEqual(turnedAway.greeting?.["code"], "UNAUTHORIZED")
      assert.containSubset(entries, [{ grant: "strangers", op: "handshake", outcome: "UNAUTHORIZED" }])
      yield* grants.edit(everybody.id, termsOf({ uids: [stranger] }))
      yield* Effect.promise(() => within("the end", holder.peer.ended))
      assert.strictEqual((yield* hold(everybody)).greeting?.["code"], "UNAUTHORIZED")
      yield* grants.edit(everybody.id, termsOf({ uids: [uid] }))
      assert.strictEqual((yield* hold(everybody)).greeting?.["ok"], true)
    }),
  )

  it.live("ends with the scope that borrowed it", () =>
    Effect.gen(function* () {
      const { grants, home } = yield* begin()
      const address = yield* Effect.scoped(
        Effect.gen(function* () {
          const grant = yield* grants.borrow(newGrant())
          assert.isTrue(existsSync(grant.address))
          return grant.address
        }),
      )
      assert.isFalse(existsSync(address))
      assert.deepStrictEqual(readdirSync(`${home}/sandboxes`), [])
    }),
  )

  it.live("is served over TCP by its capability, where the host has a port", () =>
    Effect.gen(function* () {
      const none = yield* begin()
      const overTcp = newGrant({ uids: "any" }, { transport: "tcp", hasCapability: false })
      assert.strictEqual(yield* tagOf(none.grants.add(overTcp)), "InvalidRequest")
      const { entries, grants } = yield* begin({ tcp: { host: "127.0.0.1", port: 0 } })
      assert.strictEqual(yield* tagOf(grants.add(newGrant({}, { transport: "tcp" }))), "InvalidRequest")
      const one = yield* grants.add(overTcp)
      const two = yield* grants.add(newGrant({ uids: "any", accounts: ["scripted:other"] }, { transport: "tcp" }))
      assert.match(one.address, /^tcp:\/\/127\.0\.0\.1:\d+$/)
      assert.strictEqual(two.address, one.address)
      assert.isTrue(Option.isSome(one.capability))
      const [first, second, neither] = yield* Effect.all([hold(one), hold(two), hold(one, guess)], {
        concurrency: "unbounded",
      })
      const codes = (holder: typeof first) =>
        Effect.promise(() => Promise.all([holder.codeOf("get_token", work), holder.codeOf("get_token", other)]))
      assert.deepStrictEqual(yield* codes(first), ["ok", "FORBIDDEN"])
      assert.deepStrictEqual(yield* codes(second), ["FORBIDDEN", "ok"])
      assert.strictEqual(neither.greeting?.["code"], "UNAUTHORIZED")
      assert.containSubset(entries, [{ grant: "tcp", op: "handshake", outcome: "UNAUTHORIZED" }])
      yield* grants.revoke(one.id)
      yield* Effect.promise(() => within("the end", first.peer.ended))
      assert.strictEqual(yield* Effect.promise(() => second.codeOf("get_token", other)), "ok")
    }),
  )
})

describe.concurrent("a grant with a number of uses", () => {
  for (const isKept of [false, true]) {
    it.live(`hands out exactly so many tokens to 64 requests at once${isKept ? ", on disk too" : ""}`, () =>
      Effect.gen(function* () {
        const { grants } = yield* begin()
        const grant = yield* grants.add(newGrant({ usesLeft: 3 }, { isKept }))
        const holders = yield* Effect.all([hold(grant), hold(grant)])
        const codes = yield* Effect.promise(() =>
          Promise.all(
            Array.from({ length: 32 }, () => holders.map((holder) => holder.codeOf("get_token", work))).flat(),
          ),
        )
        assert.lengthOf(
          codes.filter((code) => code === "ok"),
          3,
        )
      }),
    )
  }

  it.live("counts what was handed out, and nothing that was not", () =>
    Effect.gen(function* () {
      const { grants } = yield* begin()
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:*"], usesLeft: 2 }))
      const holder = yield* hold(grant)
      const get = (account: object) => Effect.promise(() => holder.codeOf("get_token", account))
      assert.strictEqual(yield* get({ provider: "scripted", bucket: "none" }), "FORBIDDEN")
      assert.strictEqual(yield* get({ provider: "nobody" }), "FORBIDDEN")
      yield* Effect.promise(() => holder.ask("list_buckets", { provider: "scripted" }))
      assert.strictEqual((yield* grants.list)[0]?.grant.usesLeft, 2)
      assert.strictEqual(yield* get(work), "ok")
      assert.strictEqual((yield* grants.list)[0]?.grant.usesLeft, 1)
      yield* grants.edit(grant.id, termsOf({ accounts: ["scripted:*"] }))
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* get(work), "ok")
      yield* grants.edit(grant.id, termsOf({ usesLeft: 1 }))
      assert.strictEqual(yield* get(work), "ok")
      assert.notStrictEqual(yield* get(work), "ok")
      yield* Effect.promise(() => within("the end", holder.peer.ended))
    }),
  )

  it.live("stays until its last use has come to its end", () =>
    Effect.gen(function* () {
      const { grants, provider, store } = yield* begin()
      const { token } = yield* provider.login
      yield* store.set(
        Account.make("scripted", "slow"),
        AccountRecord.fromLogin({ ...token, expiresAt: DateTime.makeUnsafe(0) }, DateTime.makeUnsafe(0)),
      )
      // Longer than it takes to notice that a grant is over.
      yield* provider.script([Behaviour.slow("1500 millis")])
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:slow"], usesLeft: 1 }))
      const holder = yield* hold(grant)
      assert.strictEqual(
        yield* Effect.promise(() => holder.codeOf("get_token", { provider: "scripted", bucket: "slow" })),
        "ok",
      )
      yield* Effect.promise(() => within("the end", holder.peer.ended))
    }),
  )

  it.live("does not come back by a use that is given back after it was revoked", () =>
    Effect.gen(function* () {
      const { grants, home, provider, store } = yield* begin()
      const { token } = yield* provider.login
      yield* store.set(
        Account.make("scripted", "slow"),
        AccountRecord.fromLogin({ ...token, expiresAt: DateTime.makeUnsafe(0) }, DateTime.makeUnsafe(0)),
      )
      yield* provider.script([Behaviour.slow("2 seconds")])
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:*"], usesLeft: 5 }, { isKept: true }))
      const holder = yield* hold(grant)
      const underWay = holder.codeOf("get_token", { provider: "scripted", bucket: "slow" })
      yield* Effect.repeat(grants.list, { until: ([entry]) => entry?.grant.usesLeft === 4 })
      yield* grants.revoke(grant.id)
      assert.strictEqual(yield* Effect.promise(() => underWay), "UNAUTHORIZED")
      assert.deepStrictEqual(readdirSync(`${home}/grants`), [])
    }),
  )
})

describe.concurrent("a grant that is kept", () => {
  it.live("is there again after a restart, at the same place, with the same capability; others are not", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const scope = yield* Scope.make()
      const { grants } = yield* Scope.provide(start({ home }), scope)
      const kept = yield* grants.add(newGrant({ usesLeft: 7, label: "kept" }, { isKept: true }))
      const gone = yield* grants.add(newGrant({ label: "gone" }))
      const over = yield* grants.add(newGrant({ expiresAt: yield* inMillis(200) }, { isKept: true }))
      const holder = yield* hold(kept)
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", work)), "ok")
      const capability = Redacted.value(Option.getOrThrow(kept.capability))
      const file = `${home}/grants/${kept.id}.json`
      assert.notInclude(readFileSync(file, "utf8"), capability)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => within("the end", holder.peer.ended))
      assert.isFalse(existsSync(`${home}/sandboxes`))
      // Longer than the life of one of them.
      yield* Effect.sleep("200 millis")

      writeFileSync(`${home}/grants/damaged.json`, "{")
      chmodSync(file, 0o600)
      const again = yield* start({ home })
      assert.deepStrictEqual(
        (yield* again.grants.list).map(({ address, grant }) => [address, grant.id, grant.usesLeft, grant.label]),
        [[kept.address, kept.id, 6, "kept"]],
      )
      assert.isFalse(existsSync(gone.address) || existsSync(over.address))
      assert.deepStrictEqual(readdirSync(`${home}/grants`).toSorted(), [`${kept.id}.json`, "damaged.json"].toSorted())
      assert.strictEqual(readFileSync(`${home}/grants/damaged.json`, "utf8"), "{")
      const [back, wrong] = yield* Effect.all([hold(kept), hold(kept, guess)], { concurrency: 2 })
      assert.strictEqual(yield* Effect.promise(() => back.codeOf("get_token", work)), "ok")
      assert.strictEqual(wrong.greeting?.["code"], "UNAUTHORIZED")
      yield* again.grants.revoke(kept.id)
      assert.deepStrictEqual(readdirSync(`${home}/grants`), ["damaged.json"])
    }),
  )

  it.live("leaves no folder behind, even if its host was killed; those of another host stay", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const { grants } = yield* start({ home })
      const grant = yield* grants.add(newGrant())
      for (const name of ["deadbeef", "notes"]) mkdirSync(`${home}/sandboxes/${name}`, { mode: 0o700 })
      writeFileSync(`${home}/sandboxes/deadbeef/broker.sock.lock`, "")
      writeFileSync(`${home}/sandboxes/notes/precious.txt`, "")
      // As if they had been there before this test.
      for (const name of readdirSync(`${home}/sandboxes`)) utimesSync(`${home}/sandboxes/${name}`, 1, 1)
      yield* start({ home })
      assert.deepStrictEqual(readdirSync(`${home}/sandboxes`).toSorted(), [grant.id, "notes"].toSorted())
      const holder = yield* hold(grant)
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", work)), "ok")
    }),
  )

  it.live("is left alone by a host at another place, and where its file is named or placed like another's", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const scope = yield* Scope.make()
      const { grants } = yield* Scope.provide(start({ home }), scope)
      const { id } = yield* grants.add(newGrant({}, { isKept: true }))
      yield* Scope.close(scope, Exit.void)
      const file = `${home}/grants/${id}.json`
      const content = readFileSync(file, "utf8")
      writeFileSync(`${home}/grants/00000000.json`, content)
      // Its folder would be removed with all that is in it.
      writeFileSync(file, content.replace(`/sandboxes/${id}/broker.sock`, "/sandboxes/broker.sock"))
      const again = yield* start({ home })
      assert.deepStrictEqual(yield* again.grants.list, [])
      assert.lengthOf(readdirSync(`${home}/grants`), 2)
    }),
  )
})

describe.concurrent("whoever holds a grant", () => {
  it.live("cannot tell what is not there from what is not granted: same words, same work", () =>
    Effect.gen(function* () {
      const { grants, reads } = yield* begin()
      const grant = yield* grants.add(
        newGrant({
          accounts: ["scripted:work"],
          permissions: ["get_token", "refresh_token", "save_token", "remove_token"],
        }),
      )
      const holder = yield* hold(grant)
      const observe = (op: string, payload: object) =>
        Effect.gen(function* () {
          reads.length = 0
          const reply = yield* Effect.promise(() => holder.ask(op, payload))
          return { reply: withoutId(reply), reads: reads.map((read) => read.split(" ")[0]) }
        })
      for (const op of ["get_token", "refresh_token"]) {
        // The first look at an account may cost more than the others.
        const seen = yield* Effect.forEach(
          [other, { provider: "scripted", bucket: "no such" }, { provider: "no such" }, { ...other, bucket: "othe*" }],
          (account) => observe(op, account),
        )
        for (const one of seen) assert.deepStrictEqual(one, seen[0], op)
        assert.include(seen[0]?.reply, "FORBIDDEN")
      }
      for (const op of ["save_token", "remove_token"]) {
        const payload = { token: { access_token: "a", expiry: 4_000_000_000 } }
        const there = yield* observe(op, { ...other, ...payload })
        const absent = yield* observe(op, { provider: "scripted", bucket: "no such", ...payload })
        assert.deepStrictEqual(absent, there)
        assert.include(there.reply, "FORBIDDEN")
      }
      const there = yield* observe("list_buckets", { provider: "scripted" })
      assert.include(there.reply, `"buckets":["work"]`)
      const absent = yield* observe("list_buckets", { provider: "no such" })
      assert.include(absent.reply, `"buckets":[]`)
      assert.deepStrictEqual(absent.reads, there.reads)
    }),
  )

  it.live("is shown what is granted and no more", () =>
    Effect.gen(function* () {
      const { grants } = yield* begin()
      const all = yield* hold(yield* grants.add(newGrant({ accounts: ["*"] })))
      const none = yield* hold(yield* grants.add(newGrant({ accounts: [] })))
      const list = (holder: typeof all) =>
        Effect.promise(async () => [
          (await holder.ask("list_providers"))?.["data"],
          (await holder.ask("list_buckets", { provider: "scripted" }))?.["data"],
        ])
      assert.deepStrictEqual(yield* list(all), [{ providers: ["scripted"] }, { buckets: ["work", "other"] }])
      assert.deepStrictEqual(yield* list(none), [{ providers: [] }, { buckets: [] }])
      assert.strictEqual(yield* Effect.promise(() => none.codeOf("get_token", work)), "FORBIDDEN")
    }),
  )

  it.live("logs in where that is granted, and no further once it is not", () =>
    Effect.gen(function* () {
      const { grants, provider } = yield* begin()
      const permissions = ["get_token", "login"] as const
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:new"], permissions }))
      const without = yield* hold(yield* grants.add(newGrant({ accounts: ["scripted:new"] })))
      const holder = yield* hold(grant)
      const fresh = { provider: "scripted", bucket: "new" }
      const paste = { ...fresh, flow_type: "pkce_redirect" }
      const initiate = (who: typeof holder, payload: object) =>
        Effect.promise(async () => {
          const reply = await who.ask("oauth_initiate", payload)
          const data: { session_id: string; auth_url: string } = JSON.parse(JSON.stringify(reply?.["data"] ?? {}))
          return { code: reply?.["code"], ...data }
        })
      assert.strictEqual((yield* initiate(without, paste)).code, "FORBIDDEN")
      assert.strictEqual((yield* initiate(holder, { ...paste, bucket: "work" })).code, "FORBIDDEN")

      const first = yield* initiate(holder, paste)
      const foreign = yield* Effect.promise(() =>
        without.codeOf("oauth_exchange", { session_id: first.session_id, code: "x" }),
      )
      assert.include(["FORBIDDEN", "UNAUTHORIZED"], foreign)
      const code = yield* provider.grant(first.auth_url)
      assert.strictEqual(
        yield* Effect.promise(() => holder.codeOf("oauth_exchange", { session_id: first.session_id, code })),
        "ok",
      )
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", fresh)), "ok")

      const second = yield* initiate(holder, paste)
      yield* grants.edit(grant.id, termsOf({ accounts: ["scripted:new"] }))
      const late = yield* provider.grant(second.auth_url)
      assert.strictEqual(
        yield* Effect.promise(() => holder.codeOf("oauth_exchange", { session_id: second.session_id, code: late })),
        "FORBIDDEN",
      )
      assert.strictEqual(
        yield* Effect.promise(() => holder.codeOf("oauth_poll", { session_id: second.session_id })),
        "FORBIDDEN",
      )
    }),
  )

  it.live("loses the logins that it has begun with its grant", () =>
    Effect.gen(function* () {
      const { grants, provider, store } = yield* begin()
      const grant = yield* grants.add(newGrant({ accounts: ["scripted:new"], permissions: ["login"] }))
      const holder = yield* hold(grant)
      const begun = yield* Effect.promise(() =>
        holder.ask("oauth_initiate", { provider: "scripted", bucket: "new", flow_type: "device_code" }),
      )
      const { user_code }: { user_code: string } = JSON.parse(JSON.stringify(begun?.["data"]))
      yield* grants.revoke(grant.id)
      const before = (yield* provider.calls).length
      yield* provider.grantDevice(user_code)
      // Longer than the provider lets a device wait between two polls in this server.
      yield* Effect.sleep("1500 millis")
      assert.lengthOf(yield* provider.calls, before)
      assert.isTrue(Option.isNone(yield* store.get(Account.make("scripted", "new"))))
    }),
  )

  it.live("saves and removes tokens only where that is granted", () =>
    Effect.gen(function* () {
      const { grants, store } = yield* begin()
      const usual = yield* hold(yield* grants.add(newGrant()))
      const more = yield* hold(yield* grants.add(newGrant({ permissions: ["save_token", "remove_token"] })))
      const token = { access_token: "by hand", expiry: 4_000_000_000, refresh_token: "not kept" }
      const account = Account.make("scripted", "work")
      for (const op of ["save_token", "remove_token"]) {
        assert.strictEqual(yield* Effect.promise(() => usual.codeOf(op, { ...work, token })), "FORBIDDEN")
      }
      const kept = Option.getOrThrow(yield* store.get(account)).token
      assert.strictEqual(Redacted.value(kept.accessToken), "access-work")
      assert.strictEqual(yield* Effect.promise(() => more.codeOf("save_token", { ...work, token })), "ok")
      const saved = Option.getOrThrow(yield* store.get(account)).token
      assert.strictEqual(Redacted.value(saved.accessToken), "by hand")
      assert.deepStrictEqual(saved.refreshToken, tokenOf("work").refreshToken)
      assert.strictEqual(yield* Effect.promise(() => more.codeOf("get_token", work)), "FORBIDDEN")
      assert.strictEqual(yield* Effect.promise(() => more.codeOf("remove_token", work)), "ok")
      assert.isTrue(Option.isNone(yield* store.get(account)))
    }),
  )

  it.live("saves nothing of a provider that the host knows nothing of, nor any number of logins", () =>
    Effect.gen(function* () {
      const { grants, store } = yield* begin()
      const all = yield* hold(yield* grants.add(newGrant({ accounts: ["*"], permissions: ["save_token"] })))
      const token = { access_token: "by hand", expiry: 4_000_000_000 }
      const save = (provider: string, bucket: string) =>
        Effect.promise(() => all.codeOf("save_token", { provider, bucket, token }))
      assert.strictEqual(yield* save("made-up", "default"), "FORBIDDEN")
      assert.strictEqual(yield* save("github", "built-in"), "ok")
      const record = Option.getOrThrow(yield* store.get(Account.make("scripted", "work")))
      yield* store.set(Account.make("gone"), record)
      assert.strictEqual(yield* save("gone", "one-more"), "ok")
      for (let n = 2; n < 63; n++) yield* store.set(Account.make("scripted", `n${n}`), record)
      assert.strictEqual(yield* save("scripted", "last"), "ok")
      assert.strictEqual(yield* save("scripted", "too-many"), "FORBIDDEN")
      assert.strictEqual(yield* save("scripted", "last"), "ok")
    }),
  )
})

describe.concurrent("what is not granted, where a person is asked", () => {
  const waiting = (grants: Grants["Service"]) =>
    Effect.repeat(grants.questions, { until: (open) => open.length > 0 }).pipe(
      Effect.map(([question]) => question?.id ?? ""),
      Effect.orDie,
    )

  it.live("is allowed once, for this run, always, or not at all", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const scope = yield* Scope.make()
      const { grants } = yield* Scope.provide(start({ home, ask: true }), scope)
      const grant = yield* grants.add(newGrant({ permissions: ["get_token"] }, { isKept: true }))
      const holder = yield* hold(grant)
      const answer = Effect.fnUntraced(function* (op: string, decision: "once" | "run" | "always" | "no") {
        const reply = holder.codeOf(op, other)
        const question = yield* grants.decide(yield* waiting(grants), decision)
        assert.deepStrictEqual([question.label, question.wish._tag], ["sandbox", "Account"])
        return yield* Effect.promise(() => reply)
      })
      assert.strictEqual(yield* answer("get_token", "once"), "ok")
      assert.strictEqual(yield* answer("get_token", "run"), "ok")
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", other)), "ok")
      assert.strictEqual(yield* answer("refresh_token", "no"), "FORBIDDEN")
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("refresh_token", other)), "FORBIDDEN")
      assert.strictEqual(yield* answer("remove_token", "always"), "ok")
      const list = yield* Effect.promise(() => holder.ask("list_buckets", { provider: "scripted" }))
      assert.deepStrictEqual(list?.["data"], { buckets: ["work"] })
      assert.deepStrictEqual(yield* grants.questions, [])
      assert.strictEqual(yield* tagOf(grants.decide("0000", "once")), "QuestionNotFound")
      yield* Scope.close(scope, Exit.void)

      const again = yield* start({ home })
      const back = yield* hold(grant)
      assert.strictEqual(yield* Effect.promise(() => back.codeOf("remove_token", other)), "ok")
      assert.strictEqual(yield* Effect.promise(() => back.codeOf("get_token", other)), "FORBIDDEN")
      assert.lengthOf(yield* again.grants.list, 1)
    }),
  )

  it.live("goes to one of those who wait, if it is allowed once", () =>
    Effect.gen(function* () {
      const { grants } = yield* begin({ ask: true })
      const holder = yield* hold(yield* grants.add(newGrant()))
      const replies = Array.from({ length: 5 }, () => holder.codeOf("get_token", other))
      yield* grants.decide(yield* waiting(grants), "once")
      const codes = yield* Effect.promise(() => Promise.all(replies))
      assert.deepStrictEqual(codes.toSorted(), ["FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "ok"])
    }),
  )

  it.live("is a whole login, if a login is allowed once", () =>
    Effect.gen(function* () {
      const { grants, provider } = yield* begin({ ask: true })
      const grant = yield* grants.add(newGrant())
      const holder = yield* hold(grant)
      const account = { provider: "scripted", bucket: "work", flow_type: "pkce_redirect" }
      const begun = holder.ask("oauth_initiate", account)
      yield* grants.decide(yield* waiting(grants), "once")
      const data: { session_id: string; auth_url: string } = JSON.parse(
        JSON.stringify((yield* Effect.promise(() => begun))?.["data"]),
      )
      const code = yield* provider.grant(data.auth_url)
      const ended = yield* Effect.promise(() => holder.codeOf("oauth_exchange", { session_id: data.session_id, code }))
      assert.strictEqual(ended, "ok")
      const second = holder.codeOf("oauth_initiate", account)
      yield* grants.decide(yield* waiting(grants), "no")
      assert.strictEqual(yield* Effect.promise(() => second), "FORBIDDEN")
    }),
  )

  it.live("is answered by an edit, and by the end of the grant", () =>
    Effect.gen(function* () {
      const { grants } = yield* begin({ ask: true })
      const grant = yield* grants.add(newGrant())
      const holder = yield* hold(grant)
      const first = holder.codeOf("get_token", other)
      yield* waiting(grants)
      yield* grants.edit(grant.id, termsOf({ accounts: ["scripted:*"] }))
      assert.strictEqual(yield* Effect.promise(() => first), "ok")
      const second = holder.codeOf("remove_token", other)
      yield* waiting(grants)
      yield* grants.revoke(grant.id)
      assert.strictEqual(yield* Effect.promise(() => second), "UNAUTHORIZED")
      assert.deepStrictEqual(yield* grants.questions, [])
    }),
  )

  it.live("is not worth a question that somebody cancelled, but the answer counts for the next try", () =>
    Effect.gen(function* () {
      const { grants } = yield* begin({ ask: true })
      const holder = yield* hold(yield* grants.add(newGrant()))
      yield* Effect.promise(() => holder.peer.write(RawPeer.request("mine", "get_token", other)))
      const id = yield* waiting(grants)
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("cancel", { targetId: "mine" })), "ok")
      yield* grants.decide(id, "once")
      assert.strictEqual(yield* Effect.promise(() => holder.codeOf("get_token", other)), "ok")
    }),
  )
})
