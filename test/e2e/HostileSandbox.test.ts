/**
 * Somebody who holds one grant and wants everything else, against the program as it is run; and what of it is in the
 * audit log afterwards.
 */
import { readFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Option, Redacted } from "effect"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as GrantsClient from "../../src/client/GrantsClient.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { type Granted, Grants } from "../../src/server/Grants.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { found } from "../support/Audited.ts"
import { codeOf, connect, type Holder, hold, inMillis, newGrant, termsOf } from "../support/Granting.ts"
import * as Program from "../support/Program.ts"
import * as RawPeer from "../support/RawPeer.ts"
import { recordOf } from "../support/Records.ts"
import * as Race from "../support/RefreshRace.ts"

const { within } = RawPeer

/** `tokenkeep serve`, with logins `mine` and `other`, and its grants. */
class Host extends Context.Service<Host, { readonly socket: string; readonly home: string }>()(
  "tokenkeep/test/e2e/HostileSandbox.test/Host",
) {}

const layerHost = Layer.unwrap(
  Effect.gen(function* () {
    yield* Race.configure
    const store = yield* TokenStore
    for (const bucket of ["mine", "other"]) yield* store.set(Account.make("scripted", bucket), recordOf(bucket))
    const home = yield* Race.homeFolder
    const server = yield* Program.start(["serve", "--json", "--rate-limit", "0"], { TOKENKEEP_HOME: home })
    const [, socket = ""] = yield* Effect.promise(() => server.said("stdout", /"socket":"([^"]+)"/))
    return Layer.merge(Layer.succeed(Host, Host.of({ socket, home })), GrantsClient.layer({ path: socket }))
  }),
).pipe(Layer.provideMerge(Race.places()))

/** How many requests, and handshakes with a wrong capability, were made under each label. */
const made = new Map<string, number>()
const note = (label: string, count = 1) => made.set(label, (made.get(label) ?? 0) + count)

const capabilityOf = ({ capability }: Granted) => Option.getOrUndefined(Option.map(capability, Redacted.value))

/** Somebody with a grant on `scripted:mine`, and what they do is counted. */
const sandbox = Effect.fnUntraced(function* (label: string, terms: Parameters<typeof newGrant>[0] = {}) {
  const grants = yield* Grants
  const grant = yield* grants.add(newGrant({ accounts: ["scripted:mine"], label, ...terms }))
  const holder = yield* hold(grant)
  return { grant, holder, ask: asking(label, holder) }
})

const asking =
  (label: string, holder: Holder) =>
  (op: string, payload: unknown = {}) => {
    note(label)
    return Effect.promise(() => holder.ask(op, payload))
  }

const mine = { provider: "scripted", bucket: "mine" }
const other = { provider: "scripted", bucket: "other" }

describe("whoever holds a grant", () => {
  layer(layerHost, { excludeTestServices: true })((it) => {
    it.effect("gets nothing beyond it", () =>
      Effect.gen(function* () {
        const { ask } = yield* sandbox("curious")
        const code = (op: string, payload?: unknown) => Effect.map(ask(op, payload), codeOf)
        const accounts: ReadonlyArray<unknown> = [
          other,
          { provider: "scripted" },
          { provider: "scripted", bucket: "*" },
          { provider: "*", bucket: "*" },
          { provider: "*" },
          { provider: "scripted:mine" },
          { provider: "scripted%3Amine" },
          { provider: "SCRIPTED", bucket: "mine" },
          { provider: "scripted", bucket: "mine " },
          { provider: "scripted", bucket: "../scripted/other" },
          { provider: "__proto__", bucket: "__proto__" },
          { provider: "constructor" },
          { provider: "tokenkeep.nobody" },
        ]
        const token = { access_token: "mine now", expiry: 4_000_000_000 }
        for (const account of accounts) {
          for (const op of ["get_token", "refresh_token", "remove_token", "oauth_initiate"]) {
            assert.strictEqual(yield* code(op, account), "FORBIDDEN", `${op} ${JSON.stringify(account)}`)
          }
          assert.strictEqual(yield* code("save_token", { ...Object(account), token }), "FORBIDDEN")
        }
        for (const op of ["save_token", "remove_token", "oauth_initiate"]) {
          assert.strictEqual(yield* code(op, { ...mine, token }), "FORBIDDEN", op)
        }
        for (const name of ["openai", "*", "__proto__"]) {
          assert.strictEqual(yield* code("get_api_key", { name }), "FORBIDDEN")
          assert.deepStrictEqual((yield* ask("has_api_key", { name }))?.["data"], { exists: false })
        }
        assert.deepStrictEqual((yield* ask("list_api_keys"))?.["data"], { keys: [] })
        assert.deepStrictEqual((yield* ask("list_buckets", { provider: "scripted" }))?.["data"], { buckets: ["mine"] })
        assert.deepStrictEqual((yield* ask("list_buckets", { provider: "*" }))?.["data"], { buckets: [] })
        for (const malformed of [{ provider: ["scripted"], bucket: "mine" }, { provider: 7 }, {}, { provider: "" }]) {
          assert.strictEqual(yield* code("get_token", malformed), "INVALID_REQUEST", JSON.stringify(malformed))
        }
        const hosts = ["grant_add", "grant_list", "grant_edit", "grant_revoke", "question_list", "question_answer"]
        for (const op of [...hosts, "__proto__", "constructor", "toString", "handshake", ""]) {
          const payload = { id: "00000000", terms: termsOf(), decision: "always" }
          assert.strictEqual(yield* code(op, payload), "INVALID_REQUEST", op)
        }
        const own = yield* ask("get_token", mine)
        assert.containSubset(own, { ok: true, data: { access_token: "access-mine" } })
        const store = yield* TokenStore
        const left = Option.getOrThrow(yield* store.get(Account.make("scripted", "other")))
        assert.strictEqual(Redacted.value(left.token.accessToken), "access-other")
      }),
    )

    it.effect("is not fooled, and fools nobody, by names that mean something to JavaScript", () =>
      Effect.gen(function* () {
        const label = "inherited"
        const { holder } = yield* sandbox(label)
        const bodies = [
          `{"v":2,"id":"a","op":"get_token","payload":{"__proto__":${JSON.stringify(mine)}}}`,
          `{"v":2,"id":"b","op":"get_token","payload":${JSON.stringify(other)},"__proto__":{"op":"get_token"}}`,
          `{"v":2,"id":"__proto__","op":"get_token","payload":${JSON.stringify(mine)}}`,
          `{"v":2,"id":"constructor","op":"list_providers","payload":{"__proto__":null}}`,
        ]
        note(label, bodies.length)
        yield* Effect.promise(() => holder.peer.write(Buffer.concat(bodies.map(RawPeer.frame))))
        yield* Effect.promise(() => within("answers", holder.peer.count(1 + bodies.length)))
        const codes = new Map(holder.peer.replies.slice(1).map((reply) => [reply["id"], codeOf(reply)]))
        assert.deepStrictEqual(
          ["a", "b", "__proto__", "constructor"].map((id) => codes.get(id)),
          ["INVALID_REQUEST", "FORBIDDEN", "ok", "ok"],
        )
      }),
    )

    it.effect("learns nothing from what is said, or how long it is", () =>
      Effect.gen(function* () {
        const { ask } = yield* sandbox("counting")
        for (const op of ["get_token", "refresh_token", "remove_token", "oauth_initiate"]) {
          const replies = new Set<string>()
          for (const account of [
            other,
            { ...other, bucket: "othes" },
            { provider: "nobodyxx", bucket: "x".repeat(200) },
          ]) {
            replies.add(JSON.stringify({ ...(yield* ask(op, account)), id: "" }))
          }
          assert.strictEqual(replies.size, 1, [...replies].join("\n"))
        }
      }),
    )

    it.effect("has no part in logins of others", () =>
      Effect.gen(function* () {
        const provider = yield* ScriptedProvider
        const { socket } = yield* Host
        const terms = { permissions: ["login", "get_token"] as const }
        const thief = yield* sandbox("thief", terms)
        const victim = yield* sandbox("victim", terms)
        const host = yield* Effect.acquireRelease(
          Effect.promise(() => connect(socket)),
          ({ peer }) => Effect.sync(peer.leave),
        )
        for (const ask of [victim.ask, asking("host", host)]) {
          const begun = yield* ask("oauth_initiate", { ...mine, flow_type: "pkce_redirect" })
          const { auth_url, session_id }: { auth_url: string; session_id: string } = JSON.parse(
            JSON.stringify(begun?.["data"]),
          )
          const code = yield* provider.grant(auth_url)
          const session = { session_id, code }
          for (const op of ["oauth_exchange", "oauth_poll", "oauth_cancel"]) {
            assert.include(["UNAUTHORIZED", "FORBIDDEN"], codeOf(yield* thief.ask(op, session)), op)
          }
          assert.strictEqual(codeOf(yield* ask("oauth_exchange", session)), "ok")
          assert.notStrictEqual(codeOf(yield* thief.ask("oauth_exchange", session)), "ok")
        }
        const guessed = yield* thief.ask("oauth_poll", { session_id: "0".repeat(32) })
        assert.strictEqual(codeOf(guessed), "SESSION_NOT_FOUND")
      }),
    )

    it.effect("has the provider asked once, however often it wants a refresh", () =>
      Effect.gen(function* () {
        const label = "refresher"
        const { account, family } = yield* Race.expiredLogin("expired")
        const { grant, holder } = yield* sandbox(label, { accounts: ["scripted:expired"] })
        const holders = [holder, yield* hold(grant), yield* hold(grant), yield* hold(grant)]
        const { bucket, provider } = account
        const each = 2500
        const window = 50
        note(label, each * holders.length)
        yield* Effect.promise(() =>
          Promise.all(
            holders.map(async ({ peer }) => {
              for (let sent = 0; sent < each; sent += window) {
                const requests = Array.from({ length: window }, (_, i) =>
                  RawPeer.request(`r${sent + i}`, "refresh_token", { provider, bucket }),
                )
                await peer.write(Buffer.concat(requests))
                await within("answers", peer.count(1 + sent + window), 20_000)
              }
            }),
          ),
        )
        const replies = holders.flatMap(({ peer }) => peer.replies.slice(1))
        assert.lengthOf(replies, 10_000)
        for (const reply of replies) assert.strictEqual(codeOf(reply), "ok")
        assert.strictEqual((yield* Race.familyOf(family)).redemptions, 1)
      }),
    )

    it.effect("cannot come back: not after it was revoked, not when its time is over", () =>
      Effect.gen(function* () {
        const grants = yield* Grants
        const revoked = yield* sandbox("revoked")
        const expired = yield* sandbox("expired", { expiresAt: yield* inMillis(300) })
        yield* grants.revoke(revoked.grant.id)
        yield* Effect.promise(() => within("the end", revoked.holder.peer.ended))
        yield* Effect.promise(() => within("the end", expired.holder.peer.ended))
        for (const { grant } of [revoked, expired]) {
          // The socket may be there for a moment longer than its connections.
          const gone = Effect.promise(() =>
            RawPeer.open(grant.address).then(
              ({ leave }) => leave(),
              () => "gone" as const,
            ),
          )
          assert.strictEqual(yield* Effect.repeat(gone, { until: (is) => is === "gone", times: 1000 }), "gone")
        }
        const next = yield* sandbox("next")
        note("next")
        const replayed = yield* hold(next.grant, capabilityOf(revoked.grant))
        assert.strictEqual(codeOf(replayed.greeting), "UNAUTHORIZED")
      }),
    )

    it.effect("is kept waiting for each capability that it tries, which keeps nobody else waiting", () =>
      Effect.gen(function* () {
        const label = "guesser"
        const { ask, grant } = yield* sandbox(label)
        const foreign = yield* sandbox("neighbour")
        const right = capabilityOf(grant) ?? ""
        const guesses = [
          capabilityOf(foreign.grant),
          undefined,
          right.slice(1),
          `${right} `,
          right.toLowerCase(),
          "x".repeat(60_000),
          "\u0000",
          ...Array.from({ length: 40 }, (_, i) => `${right.slice(0, -2)}${String(i).padStart(2, "0")}`),
        ]
        note(label, guesses.length)
        const begun = performance.now()
        let answered = 0
        const flood = Promise.all(
          guesses.map(async (guess) => {
            const { greeting, peer } = await connect(grant.address, guess)
            answered++
            await within("the end", peer.ended)
            return { greeting, time: performance.now() - begun }
          }),
        )
        assert.strictEqual(codeOf(yield* ask("get_token", mine)), "ok")
        const second = yield* hold(grant)
        assert.strictEqual(codeOf(second.greeting), "ok")
        // On a slow machine too, nobody else has to wait for as long as a guess.
        assert.strictEqual(answered, 0)
        const tries = yield* Effect.promise(() => flood)
        for (const { greeting, time } of tries) {
          assert.deepStrictEqual(greeting, tries[0]?.greeting)
          assert.strictEqual(codeOf(greeting), "UNAUTHORIZED")
          assert.isAtLeast(time, 990)
        }
      }),
    )

    it.effect("finds all of it in the audit log, under its name, and no secret with it", () =>
      Effect.gen(function* () {
        const { home } = yield* Host
        const counted = Effect.map(found(`${home}/audit`), ({ report, requests }) => {
          const counts = new Map<string, number>()
          for (const { grant } of requests) counts.set(grant, (counts.get(grant) ?? 0) + 1)
          return { counts, report, requests }
        })
        const expected = [...made].toSorted()
        const complete = ({ counts }: { readonly counts: Map<string, number> }) =>
          expected.every(([label, count]) => (counts.get(label) ?? 0) >= count)
        const { counts, report, requests } = yield* counted.pipe(
          Effect.delay("100 millis"),
          Effect.repeat({ until: complete, times: 30 }),
        )
        // What the tests did as the host to make grants is there too.
        const ofHost = requests.filter(({ grant, op }) => grant === "host" && !op.startsWith("grant_"))
        counts.set("host", ofHost.length)
        assert.deepStrictEqual([...counts].toSorted(), expected)
        assert.deepStrictEqual(report.problems, [])
        const isWrong = ({ op, outcome }: { readonly op: string; readonly outcome: string }) =>
          op === "handshake" && outcome === "UNAUTHORIZED"
        assert.lengthOf(
          requests.filter((line) => line.grant === "guesser" && isWrong(line)),
          47,
        )
        for (const name of ["head", "log-0000000000000001.ndjson"]) {
          const text = readFileSync(`${home}/audit/${name}`, "utf8")
          assert.notMatch(text, /access-mine|refresh-mine|mine now/)
        }
      }).pipe(Effect.provide(NodeServices.layer)),
    )
  })
})
