import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import {
  byDevice,
  configured,
  layer,
  pass,
  passUntil,
  pathsOf,
  refusedRefresh,
} from "../support/emulators/Configured.ts"
import * as Copilot from "../support/emulators/Copilot.ts"
import type { Emulator, Reply } from "../support/emulators/Emulator.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("copilot")

interface Surroundings {
  /** What of the record is said anew. */
  readonly said?: object
  /** What lies between us and GitHub. */
  readonly around?: (fetch: typeof globalThis.fetch) => typeof globalThis.fetch
}

const at = <A, E>(
  work: (emulator: Emulator) => Effect.Effect<A, E, Broker>,
  { around = (fetch) => fetch, said = {}, ...options }: Partial<Copilot.Options> & Surroundings = {},
) =>
  Effect.gen(function* () {
    const emulator = yield* Copilot.copilot({ now: () => 0, ...options })
    const endpoints = { ...emulator.endpoints, secondExchange: `${emulator.origin}${Copilot.path}` }
    const provider = configured("copilot", { endpoints, ...said })
    return yield* Effect.provide(work(emulator), layer(provider, around(emulator.fetch)))
  })

const trades = (emulator: Emulator) => emulator.requests.filter(({ path }) => path === Copilot.path)

const renewals = (emulator: Emulator) => emulator.requests.filter(({ form }) => form?.["refresh_token"] !== undefined)

const pending: Reply = { status: 200, body: { error: "authorization_pending" } }

describe("Copilot", () => {
  it.live("is where its emulator is, but for the host", () =>
    Effect.gen(function* () {
      const emulator = yield* Copilot.copilot({ now: () => 0 })
      const { authorization: _, ...endpoints } = emulator.endpoints
      assert.deepStrictEqual(
        pathsOf(configured("copilot", {}).endpoints),
        pathsOf({ ...endpoints, secondExchange: `${emulator.origin}${Copilot.path}` }),
      )
    }),
  )

  it.effect("trades the token of a login at GitHub for one of Copilot, and again when it is to be refreshed", () =>
    at((emulator) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        assert.strictEqual((yield* byDevice(account, emulator.grant)).status, "complete")
        const first = yield* broker.getToken(account)
        assert.match(Redacted.value(first.accessToken), /^tid=trade-1;/)
        assert.strictEqual(DateTime.toEpochMillis(first.expiresAt ?? DateTime.makeUnsafe(0)), (5 + 1500) * 1000)
        assert.deepStrictEqual(first.extras, {
          api_base_url: "https://api.business.githubcopilot.com",
          sku: "monthly_subscriber",
        })
        assert.match(Redacted.value((yield* broker.refreshToken(account)).accessToken), /^tid=trade-2;/)
        assert.match(Redacted.value((yield* broker.refreshToken(account)).accessToken), /^tid=trade-3;/)

        const sent = trades(emulator)
        assert.lengthOf(sent, 3)
        for (const { headers, method } of sent) {
          assert.strictEqual(method, "GET")
          assert.strictEqual(headers.get("x-github-api-version"), "2025-04-01")
          assert.match(headers.get("user-agent") ?? "", /^tokenkeep\//)
          assert.isNull(headers.get("content-type"))
          assert.strictEqual(headers.get("authorization"), sent[0]?.headers.get("authorization"))
        }
        assert.strictEqual(yield* broker.removeToken(account), "not_offered")
      }),
    ),
  )

  it.live("does so over a socket", () =>
    Effect.gen(function* () {
      const emulator = yield* Copilot.copilot({ now: () => 0, interval: 1 })
      const endpoints = { ...emulator.endpoints, secondExchange: `${emulator.origin}${Copilot.path}` }
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        emulator.grant(Option.getOrThrow(login.device).userCode)
        yield* broker
          .poll(login.sessionId)
          .pipe(Effect.delay("1100 millis"), Effect.repeat({ until: ({ status }) => status === "complete", times: 3 }))
        yield* broker.refreshToken(account)
        assert.lengthOf(trades(emulator), 2)
      }).pipe(Effect.provide(layer(configured("copilot", { endpoints }))))
    }),
  )

  it.effect("finds the API in the token where the answer does not say it", () =>
    at(
      (emulator) =>
        Effect.gen(function* () {
          yield* byDevice(account, emulator.grant)
          const { extras } = yield* Effect.flatMap(Broker, (broker) => broker.getToken(account))
          assert.strictEqual(extras["api_base_url"], "https://api.individual.githubcopilot.com")
        }),
      { endpoints: false },
    ),
  )

  it.effect("understands how GitHub refuses a login", () =>
    at((emulator) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(byDevice(account, emulator.deny)), "AccessDenied")
        assert.strictEqual(yield* tagOf(byDevice(account, emulator.expire)), "SessionExpired")
        assert.lengthOf(trades(emulator), 0)
      }),
    ),
  )

  it.effect("ends a login of somebody who may not use Copilot, and says why", () =>
    at((emulator) =>
      Effect.gen(function* () {
        const granted = { status: 200, body: { access_token: "ghu_example", refresh_token: "ghr_example" } }
        const refusals = [
          [Copilot.notEntitled("not_signed_up"), "refused the request (not_signed_up)"],
          [Copilot.otherApp, "refused the request"],
          [{ status: 401, body: { message: "Bad credentials" } }, "new login"],
        ] as const
        for (const [reply, words] of refusals) {
          const error = yield* Effect.flip(byDevice(account, () => emulator.says(granted, reply)))
          assert.strictEqual(error._tag, "PollFailed")
          assert.include(error.message, words)
        }
        assert.lengthOf(renewals(emulator), 0)
      }),
    ),
  )

  it.effect("is patient with trouble in between, which must not cost a login", () =>
    at((emulator) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const login = yield* broker.initiate(account)
        emulator.grant(Option.getOrThrow(login.device).userCode)
        emulator.says(pending)
        yield* pass(9)
        emulator.says(
          { status: 200, body: { access_token: "ghu_lost" } },
          { status: 502, body: "" },
          { status: 503, body: "" },
        )
        emulator.says({ status: 200, body: { token: "tid=1:mac", refresh_in: 1500, expires_at: 1800 } })
        yield* pass(6)
        assert.strictEqual((yield* broker.poll(login.sessionId)).status, "complete")
        assert.strictEqual(Redacted.value((yield* broker.getToken(account)).accessToken), "tid=1:mac")
      }),
    ),
  )

  const trouble: Reply = { status: 503, body: "" }
  const refusals: ReadonlyArray<
    readonly [what: string, replies: ReadonlyArray<Reply>, tag: string, words: string, isKept: boolean]
  > = [
    ["a GitHub token that is gone", [{ status: 401, body: {} }], "ReauthRequired", "new login", false],
    ["no subscription", [Copilot.notEntitled("subscription_ended")], "RefreshFailed", "subscription_ended", true],
    ["a refusal of another name", [Copilot.notEntitled("server_error")], "RefreshFailed", "(server_error)", true],
    ["another app's token", [Copilot.otherApp], "RefreshFailed", "refused the request", true],
    ["too many requests", [Copilot.tooMany], "RefreshRateLimited", "60 s", true],
    [
      "too many requests, until a time",
      [Copilot.tooManySaid({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "80" })],
      "RefreshRateLimited",
      "74 s",
      true,
    ],
    ["too many in a row", [Copilot.tooManySaid({ "retry-after": "90" })], "RefreshRateLimited", "90 s", true],
    ["trouble of its own", [trouble, trouble, trouble], "RefreshFailed", "trouble of its own", true],
  ]
  for (const [what, replies, tag, words, isKept] of refusals) {
    it.effect(`tells of ${what}`, () =>
      at((emulator) =>
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* byDevice(account, emulator.grant)
          emulator.says(...replies)
          const error = yield* refusedRefresh(account)
          assert.strictEqual(error._tag, tag)
          assert.include(error.message, words)
          yield* pass(100)
          const then = yield* Effect.exit(broker.refreshToken(account))
          assert.strictEqual(then._tag, isKept ? "Success" : "Failure")
        }),
      ),
    )
  }

  describe("with a GitHub token that expires", () => {
    const login = Effect.fnUntraced(function* (emulator: Emulator) {
      yield* byDevice(account, emulator.grant)
      yield* TestClock.adjust("8 hours")
      emulator.end("access-2-secret")
    })
    const tokenOf = Effect.fnUntraced(function* () {
      const asking = yield* Effect.forkChild(Effect.exit(Effect.flatMap(Broker, (broker) => broker.getToken(account))))
      yield* passUntil(() => asking.pollUnsafe() !== undefined)
      return Redacted.value((yield* yield* Fiber.join(asking)).accessToken)
    })

    it.effect("refreshes that first, and the next one with what came", () =>
      at(
        (emulator) =>
          Effect.gen(function* () {
            yield* login(emulator)
            assert.match(yield* tokenOf(), /^tid=trade-2;/)
            yield* TestClock.adjust("1 hour")
            assert.match(yield* tokenOf(), /^tid=trade-3;/)
            assert.lengthOf(renewals(emulator), 1)
            yield* TestClock.adjust("1 hour")
            emulator.end("access-3-secret")
            assert.match(yield* tokenOf(), /^tid=trade-4;/)
            const [first, second] = renewals(emulator)
            assert.deepStrictEqual(first?.form, {
              client_id: Copilot.clientId,
              grant_type: "refresh_token",
              refresh_token: "refresh-2-secret",
            })
            assert.strictEqual(first?.headers.get("accept"), "application/json")
            assert.strictEqual(second?.form?.["refresh_token"], "refresh-3-secret")
            for (const { form, headers, query } of trades(emulator)) {
              assert.match(headers.get("authorization") ?? "", /^token access-\d-secret$/)
              assert.deepStrictEqual([form, query.size], [undefined, 0])
            }
          }),
        { expiring: true },
      ),
    )

    it.effect("asks for a new login when GitHub refuses that", () =>
      at(
        (emulator) =>
          Effect.gen(function* () {
            yield* login(emulator)
            emulator.end("refresh-2-secret")
            assert.strictEqual((yield* refusedRefresh(account))._tag, "ReauthRequired")
            assert.lengthOf(trades(emulator), 2)
          }),
        { expiring: true },
      ),
    )

    /** Trades whose answer does not come, counted from the first. */
    const losing = (lost: (trade: number) => boolean) => {
      let count = 0
      const around: Surroundings["around"] = (fetch) => (input, init) => {
        const isTrade = new URL(input instanceof Request ? input.url : input).pathname === Copilot.path
        return isTrade && lost(++count) ? Promise.reject(new TypeError("fetch failed")) : fetch(input, init)
      }
      return { around, expiring: true }
    }

    it.effect("trades what was refreshed once more, when the trade after it was lost", () =>
      at(
        (emulator) =>
          Effect.gen(function* () {
            yield* login(emulator)
            assert.match(yield* tokenOf(), /^tid=trade-2;/)
            assert.lengthOf(renewals(emulator), 1)
          }),
        // The third to fifth are all that is tried of it.
        losing((trade) => trade >= 3 && trade <= 5),
      ),
    )

    it.effect("keeps what was refreshed, however long no trade comes through", () => {
      let isDown = true
      return at(
        (emulator) =>
          Effect.gen(function* () {
            yield* login(emulator)
            assert.strictEqual((yield* refusedRefresh(account))._tag, "RefreshFailed")
            assert.strictEqual((yield* refusedRefresh(account))._tag, "RefreshFailed")
            isDown = false
            yield* TestClock.adjust("1 hour")
            assert.match(yield* tokenOf(), /^tid=trade-2;/)
            assert.lengthOf(renewals(emulator), 1)
          }),
        losing((trade) => trade >= 3 && isDown),
      )
    })

    it.effect("tells why Copilot refuses what was refreshed", () =>
      at(
        (emulator) =>
          Effect.gen(function* () {
            yield* login(emulator)
            const renewed = { access_token: "ghu_new", refresh_token: "ghr_new", expires_in: "28800" }
            const refused = Copilot.notEntitled("subscription_ended")
            emulator.says({ status: 401, body: {} }, { status: 200, body: renewed }, refused, refused)
            assert.include((yield* refusedRefresh(account)).message, "subscription_ended")
            assert.strictEqual(trades(emulator).at(-1)?.headers.get("authorization"), "token ghu_new")
          }),
        { expiring: true },
      ),
    )
  })

  it("does not pretend to be an editor", () => {
    const { api, headers } = configured("copilot", {})
    assert.deepStrictEqual(headers, { accept: "application/json" })
    assert.match(api?.headers?.["Editor-Version"] ?? "", /^tokenkeep\//)
    assert.notProperty(api?.headers, "User-Agent")
    const said = { api: { headers: { "Copilot-Integration-Id": "mine" } } }
    assert.deepStrictEqual(configured("copilot", said).api?.headers, { "Copilot-Integration-Id": "mine" })
  })
})
